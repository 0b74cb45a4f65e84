// Answers every UDP datagram on port 9001 with the pod's name. Built statically by the test harness.
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(void) {
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
