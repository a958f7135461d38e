/* Runs SAMPLES examples of check.h on this computer and prints the results.
     cc -std=c99 -I FOLDER_OF_NET_H host.c -o host && ./host 1000 */
#include "net.h"

#include "check.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  static net_state state;
  const unsigned long samples = argc > 1 ? strtoul(argv[1], 0, 10) : 1000;
  net_init(&state);
  printf("%08lx\n", (unsigned long)check(&state, (uint32_t)samples));
  printf("%lu bytes of state\n", (unsigned long)sizeof state);
  return 0;
}
