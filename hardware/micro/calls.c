/* Links only what a program needs to use the network, so its size is that of the network. */
#include "net.h"

static net_state state;

/* The linker's root. It keeps all calls that a program makes. */
unsigned use(const int16_t *x, int16_t *logits, unsigned what);
unsigned use(const int16_t *x, int16_t *logits, unsigned what) {
  if (what == 0) net_init(&state);
#if NET_CLASSES
#if NET_LEARNS
  if (what > 1) return net_learn(&state, x, what - 2);
#endif
  return net_infer(&state, x, logits);
#else
#if NET_LEARNS
  if (what > 1) net_learn(&state, x, logits);
#endif
  net_infer(&state, x, logits);
  return 0;
#endif
}
