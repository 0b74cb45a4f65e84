// Keeps a pod's namespaces alive: sleeps until SIGTERM or SIGINT and reaps orphans when it is PID 1 of a
// shared PID namespace. No libc: raw system calls, so that the binary is static and a few KB.
#if defined(__x86_64__)
enum { kRead = 0, kPause = 34, kWait4 = 61, kExit = 231, kSigaction = 13, kSigreturn = 15 };
static long call(long n, long a, long b, long c, long d) {
  long out;
  register long r10 __asm__("r10") = d;
  __asm__ volatile("syscall" : "=a"(out) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
  return out;
}
static long wait_for_signal(void) { return call(kPause, 0, 0, 0, 0); }
__asm__(".globl restorer\nrestorer:\n mov $15, %eax\n syscall\n");
__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n and $-16, %rsp\n call run\n");
#define HAVE_RESTORER 1
#elif defined(__aarch64__)
enum { kPpoll = 73, kWait4 = 260, kExit = 94, kSigaction = 134 };
static long call(long n, long a, long b, long c, long d) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = 0;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
static long wait_for_signal(void) { return call(kPpoll, 0, 0, 0, 0); }
__asm__(".globl _start\n_start:\n bl run\n");
#else
#error "pause: port the three system calls to this architecture"
#endif

enum { kSigInt = 2, kSigTerm = 15, kSigChld = 17, kNoHang = 1 };
static const unsigned long kRestorerFlag = 0x04000000;

struct action {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

#ifdef HAVE_RESTORER
void restorer(void);
#endif

static void on_signal(int number) {
  if (number != kSigChld) call(kExit, 0, 0, 0, 0);
  while (call(kWait4, -1, 0, kNoHang, 0) > 0) {
  }
}

static void handle(int number) {
  struct action a = {on_signal, 0, 0, 0};
#ifdef HAVE_RESTORER
  a.flags = kRestorerFlag;
  a.restorer = restorer;
#else
  (void)kRestorerFlag;
#endif
  call(kSigaction, number, (long)&a, 0, sizeof a.mask);
}

__attribute__((noreturn, used)) void run(void) {
  handle(kSigInt);
  handle(kSigTerm);
  handle(kSigChld);
  for (;;) wait_for_signal();
}
