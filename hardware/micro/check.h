/* A checksum that is equal for the exported network and the C++ model only if all bits agree. The comment in
   src/grapes/fixed/checksum.h defines it. Include this file after a header that was exported with --name net. */
#ifndef CHECK_H
#define CHECK_H

static uint32_t check_next(uint32_t* random) {
  *random ^= *random << 13;
  *random ^= *random >> 17;
  *random ^= *random << 5;
  return *random;
}

static uint32_t check_take(uint32_t sum, int32_t word) { return (sum ^ (uint32_t)word) * 16777619u; }

/* In [-0.5, 0.5]. */
static int32_t check_noise(uint32_t drawn, unsigned fraction) {
  return (int32_t)((drawn >> 16) >> (16 - fraction)) - (((int32_t)1 << fraction) >> 1);
}

typedef struct {
  int16_t x[NET_INPUTS];
#if NET_CLASSES
  unsigned target;
#else
  int16_t target[NET_OUTPUTS];
#endif
} check_sample;

static void check_draw(check_sample* sample, uint32_t* random, int extreme) {
  const unsigned label = (unsigned)(check_next(random) % NET_OUTPUTS);
  for (unsigned i = 0; i < NET_INPUTS; ++i) {
    const uint32_t drawn = check_next(random);
    int32_t x = extreme ? (int32_t)(drawn >> 16) - 32768 : check_noise(drawn, NET_INPUT_FRACTION);
    if (i % NET_OUTPUTS == label) x += (int32_t)1 << NET_INPUT_FRACTION;
    sample->x[i] = (int16_t)(x > 32767 ? 32767 : x);
  }
#if NET_CLASSES
  sample->target = label;
#else
  for (unsigned k = 0; k < NET_OUTPUTS; ++k)
    sample->target[k] = (int16_t)check_noise(check_next(random), NET_ACTIVATION_FRACTION);
#endif
}

/* Adds the learned state. */
static uint32_t check_state(uint32_t sum, const net_state* s) {
#if NET_LEARNS
  for (uint32_t i = 0; i < NET_WEIGHTS; ++i) sum = check_take(sum, s->weights[i]);
#if NET_BIASES
  for (unsigned i = 0; i < NET_NODES; ++i) sum = check_take(sum, s->biases[i]);
#endif
#if NET_GRAPES
  for (unsigned i = 0; i < NET_HIDDEN; ++i) sum = check_take(sum, (int32_t)s->responsibility[i]);
#endif
#endif
  (void)s;
  return sum;
}

static uint32_t check(net_state* s, uint32_t samples) {
  static check_sample sample;
  int16_t logits[NET_OUTPUTS];
  uint32_t sum = 2166136261u, random = 88172645u;
  for (uint32_t n = 0; n < samples; ++n) {
    check_draw(&sample, &random, n % 16 == 15);
#if NET_CLASSES
    const unsigned answer = net_infer(s, sample.x, logits);
#else
    net_infer(s, sample.x, logits);
#endif
    for (unsigned k = 0; k < NET_OUTPUTS; ++k) sum = check_take(sum, logits[k]);
#if NET_CLASSES
    sum = check_take(sum, (int32_t)answer);
#endif
#if NET_LEARNS
    (void)net_learn(s, sample.x, sample.target);
#endif
  }
  return check_state(sum, s);
}

#endif
