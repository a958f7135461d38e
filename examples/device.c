#include "net.h" /* from: grapes export c RUN --learn --out net.h */

#include <stdio.h>

static net_state state;
static int16_t x[NET_INPUTS], logits[NET_OUTPUTS]; /* an input is an integer times 2^-12; here all are 0 */

int main(void) {
  net_init(&state); /* to the trained weights */
  const unsigned answer = net_infer(&state, x, logits);
  net_learn(&state, x, 3); /* one step from one example of class 3 */
  printf("before: class %u, after: class %u\n", answer, (unsigned)net_infer(&state, x, logits));
  return 0;
}
