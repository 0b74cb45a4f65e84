// Answers every UDP datagram on port 9001 with the pod's name; or, as `udp ADDRESS PORT`, asks somebody else for
// theirs and prints it. Built statically by the test harness.
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

static int ask(const char* ip, const char* port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  const struct timeval limit = {.tv_sec = 2};
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || inet_pton(AF_INET, ip, &address.sin_addr) != 1) return 2;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  char answer[2048];
  // Connected, so that only an answer from the address that was asked counts.
  if (connect(fd, (struct sockaddr*)&address, sizeof address) != 0 || send(fd, "hello", 5, 0) != 5) return 1;
  const ssize_t size = recv(fd, answer, sizeof answer - 1, 0);
  if (size < 0) return 1;
  printf("%.*s\n", (int)size, answer);
  return 0;
}

int main(int argc, char** argv) {
  if (argc == 3) return ask(argv[1], argv[2]);
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9001)};
  if (fd < 0 || bind(fd, (struct sockaddr*)&address, sizeof address) != 0) return 1;
  const char* name = getenv("POD_NAME");
  char buffer[2048];
  for (;;) {
    socklen_t size = sizeof address;
    if (recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr*)&address, &size) < 0) continue;
    sendto(fd, name ? name : "?", name ? strlen(name) : 1, 0, (struct sockaddr*)&address, size);
  }
}
