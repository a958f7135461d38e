/* Values of NET_ACTIVATION. */
#define NET_IDENTITY 0
#define NET_RELU 1
#define NET_TANH 2
#define NET_SIGMOID 3

/* In C the right shift of a negative number is implementation-defined. This code needs it to keep the sign. */
typedef char net_shifts_keep_the_sign[((int32_t)-1 >> 1) == -1 ? 1 : -1];

typedef struct {
#if NET_LEARNS
  net_weight weights[NET_WEIGHTS];
#if NET_BIASES
  int16_t biases[NET_NODES];
#endif
#if NET_GRAPES
  uint32_t responsibility[NET_HIDDEN];
#endif
  int16_t errors[NET_NODES];
  uint32_t random; /* any number except 0 */
#endif
  int16_t values[NET_NODES]; /* hidden units after the activation, then the logits */
} net_state;

static inline int16_t net_saturate(net_sum x) {
  return (int16_t)(x > 32767 ? 32767 : x < -32768 ? -32768 : x);
}

/* Reduces the fraction of a sum of products by `shift` bits. */
static inline int16_t net_shorten(net_sum sum, unsigned shift) {
  return net_saturate(shift == 0 ? sum : (sum + ((net_sum)1 << (shift - 1))) >> shift);
}

static inline int32_t net_round(int32_t x, unsigned shift) {
  return shift == 0 ? x : (x + ((int32_t)1 << (shift - 1))) >> shift;
}

#if NET_ACTIVATION == NET_TANH || NET_ACTIVATION == NET_SIGMOID
/* tanh |z| in units of 2^-15, by linear interpolation in net_tanh. */
static inline int32_t net_tanh_of_size(int32_t z, unsigned fraction) {
  const uint32_t size = (uint32_t)(z < 0 ? -z : z);
  const unsigned rest = fraction - 5;
  const uint32_t i = size >> rest;
  if (i >= 256) return 32768;
  const int32_t low = net_tanh[i], high = net_tanh[i + 1];
  return low + net_round((high - low) * (int32_t)(size & (((uint32_t)1 << rest) - 1)), rest);
}
#endif

/* Activation of a hidden unit. */
static inline int16_t net_activation(int16_t z) {
#if NET_ACTIVATION == NET_RELU
  return z > 0 ? z : 0;
#elif NET_ACTIVATION == NET_TANH
  const int32_t fine = net_tanh_of_size(z, NET_ACTIVATION_FRACTION);
  const int32_t size = net_round(fine, 15 - NET_ACTIVATION_FRACTION);
  return (int16_t)(z < 0 ? -size : size);
#elif NET_ACTIVATION == NET_SIGMOID
  /* (1 + tanh(z / 2)) / 2: half of z is z with one more fraction bit. */
  const int32_t size = net_tanh_of_size(z, NET_ACTIVATION_FRACTION + 1);
  return (int16_t)net_round(32768 + (z < 0 ? -size : size), 16 - NET_ACTIVATION_FRACTION);
#else
  return z;
#endif
}

static inline void net_forward(net_state *s, const int16_t *x) {
  for (unsigned l = 0; l < NET_LAYERS; ++l) {
    const net_layer *layer = &net_layers[l];
    const unsigned inputs = layer->inputs;
    const unsigned shift = layer->fraction + layer->input_fraction - NET_ACTIVATION_FRACTION;
#if NET_LEARNS
    const net_weight *row = s->weights + layer->first_weight;
#else
    const net_weight *row = net_trained + layer->first_weight;
#endif
    int16_t *h = s->values + layer->first_node;
    for (unsigned n = 0; n < layer->nodes; ++n, row += inputs) {
#if NET_BIASES && NET_LEARNS
      net_sum sum = s->biases[layer->first_node + n] * ((net_sum)1 << layer->input_fraction);
#elif NET_BIASES
      net_sum sum = net_trained_biases[layer->first_node + n] * ((net_sum)1 << layer->input_fraction);
#else
      net_sum sum = 0;
#endif
      for (unsigned i = 0; i < inputs; ++i) sum += (int32_t)row[i] * x[i];
      h[n] = net_shorten(sum, shift);
      if (l + 1 < NET_LAYERS) h[n] = net_activation(h[n]);
    }
    x = h;
  }
}

/* Index of the greatest logit; of equal ones the first. */
static inline unsigned net_greatest(const int16_t *logits) {
  unsigned best = 0;
  for (unsigned k = 1; k < NET_OUTPUTS; ++k)
    if (logits[k] > logits[best]) best = k;
  return best;
}

#if NET_LEARNS

/* The error times the slope of the activation at h. */
static inline int16_t net_through(int16_t error, int16_t h) {
#if NET_ACTIVATION == NET_RELU
  return h > 0 ? error : 0;
#elif NET_ACTIVATION == NET_TANH
  const int32_t one = (int32_t)1 << NET_ACTIVATION_FRACTION;
  const int32_t slope = one - net_round((int32_t)h * h, NET_ACTIVATION_FRACTION);
  return (int16_t)net_round(error * slope, NET_ACTIVATION_FRACTION);
#elif NET_ACTIVATION == NET_SIGMOID
  const int32_t slope = h - net_round((int32_t)h * h, NET_ACTIVATION_FRACTION);
  return (int16_t)net_round(error * slope, NET_ACTIVATION_FRACTION);
#else
  (void)h;
  return error;
#endif
}

/* xorshift32 (Marsaglia 2003). */
static inline uint32_t net_next(uint32_t random) {
  random ^= random << 13;
  random ^= random >> 17;
  random ^= random << 5;
  return random;
}

static inline uint32_t net_size(int32_t w) { return (uint32_t)(w < 0 ? -w : w); }

#if NET_SQUARES
#if NET_CLASSES
static inline void net_output_error(net_state *s, unsigned label) {
#else
static inline void net_output_error(net_state *s, const int16_t *targets) {
#endif
  const int32_t two_over_outputs = (int32_t)((16384 + NET_OUTPUTS / 2) / NET_OUTPUTS); /* in units of 2^-13 */
  for (unsigned k = 0; k < NET_OUTPUTS; ++k) {
#if NET_CLASSES
    const int32_t target = k == label ? (int32_t)1 << NET_ACTIVATION_FRACTION : 0;
#else
    const int32_t target = targets[k];
#endif
    const int32_t distance = s->values[NET_HIDDEN + k] - target;
    s->errors[NET_HIDDEN + k] = net_saturate(
        net_round(distance * two_over_outputs, NET_ACTIVATION_FRACTION + 13 - NET_ERROR_FRACTION));
  }
}
#else
/* exp(-d) in units of 2^-14, d with the fraction of activations. It is a power of 2: the integer part is a shift, the
   rest is interpolated linearly in net_exp2. */
static inline uint32_t net_exp_of_minus(uint32_t d) {
  const unsigned fraction = NET_ACTIVATION_FRACTION + 14;
  const uint32_t power = d * 23637; /* log2 e in units of 2^-14 */
  const uint32_t whole = power >> fraction;
  if (whole > 15) return 0;
  const uint32_t part = power & (((uint32_t)1 << fraction) - 1);
  const uint32_t i = part >> (fraction - 6), rest = (part >> (fraction - 16)) & 1023;
  const uint32_t high = net_exp2[i], low = net_exp2[i + 1];
  const uint32_t value = high - (((high - low) * rest + 512) >> 10);
  return (value + (((uint32_t)1 << whole) >> 1)) >> whole;
}

/* softmax(logits) - one-hot label */
static inline void net_output_error(net_state *s, unsigned label) {
  const int16_t *logits = s->values + NET_HIDDEN;
  int16_t *errors = s->errors + NET_HIDDEN;
  const int32_t most = logits[net_greatest(logits)];
  uint32_t sum = 0;
  for (unsigned k = 0; k < NET_OUTPUTS; ++k) {
    const uint32_t e = net_exp_of_minus((uint32_t)(most - logits[k]));
    errors[k] = (int16_t)e;
    sum += e;
  }
  const uint32_t inverse = ((uint32_t)1 << 30) / sum;
  for (unsigned k = 0; k < NET_OUTPUTS; ++k) {
    const uint32_t p = ((uint32_t)errors[k] * inverse + ((uint32_t)1 << (29 - NET_ERROR_FRACTION))) >>
                       (30 - NET_ERROR_FRACTION);
    errors[k] = (int16_t)((int32_t)p - (k == label ? (int32_t)1 << NET_ERROR_FRACTION : 0));
  }
}
#endif

#if NET_GRAPES
/* The factor above 1 in steps of 2^-k, k = NET_FACTOR_BITS: the greatest number for which
   2^(k+2) r >= most (2^(k+1) + 2 steps - 1), found bit by bit, without a division. */
static inline uint32_t net_factor(uint32_t r, uint32_t most) {
  const net_scaled scaled = (net_scaled)r << (NET_FACTOR_BITS + 2);
  const uint32_t one = (uint32_t)1 << NET_FACTOR_BITS;
  uint32_t steps = 0;
  if (most == 0) return 0;
  for (uint32_t bit = one; bit != 0; bit >>= 1) {
    const uint32_t tried = steps | bit;
    if (tried <= one && scaled >= (net_scaled)most * (2 * one + 2 * tried - 1)) steps = tried;
  }
  return steps;
}
#endif

/* Computes the error of the layer below l from the weights of l. */
static inline void net_error_below(net_state *s, unsigned l) {
  const net_layer *layer = &net_layers[l];
  const unsigned inputs = layer->inputs, nodes = layer->nodes, below = net_layers[l - 1].first_node;
  const int16_t *errors = s->errors + layer->first_node;
#if NET_GRAPES
  uint32_t most = 0;
  for (unsigned i = 0; i < inputs; ++i)
    if (s->responsibility[below + i] > most) most = s->responsibility[below + i];
#endif
  for (unsigned i = 0; i < inputs; ++i) {
    const int16_t h = s->values[below + i];
    int16_t error = 0;
    if (NET_ACTIVATION != NET_RELU || h > 0) {
      const net_weight *column = s->weights + layer->first_weight + i;
      net_sum sum = 0;
      for (unsigned n = 0; n < nodes; ++n, column += inputs) sum += (int32_t)*column * errors[n];
      error = net_through(net_shorten(sum, layer->fraction), h);
#if NET_GRAPES
      if (error != 0) {
        const int32_t steps = (int32_t)net_factor(s->responsibility[below + i], most);
        error = net_saturate(error + net_round(error * steps, NET_FACTOR_BITS));
      }
#endif
    }
    s->errors[below + i] = error;
  }
}

/* The change of a weight: the shifted product, rounded up with a probability equal to the remainder. */
static inline int32_t net_step(int32_t product, unsigned shift, uint32_t *random) {
  *random = net_next(*random);
  return (product + (int32_t)(*random >> (32 - shift))) >> shift;
}

static inline void net_update(net_state *s, unsigned l, const int16_t *x) {
  const net_layer *layer = &net_layers[l];
  const unsigned inputs = layer->inputs;
  const unsigned shift = NET_ERROR_FRACTION + layer->input_fraction + NET_RATE_SHIFT - layer->fraction;
  net_weight *row = s->weights + layer->first_weight;
  uint32_t random = s->random;
  for (unsigned n = layer->first_node; n < layer->first_node + (unsigned)layer->nodes; ++n, row += inputs) {
    const int32_t error = s->errors[n];
    if (error == 0) continue;
#if NET_GRAPES
    uint32_t change = 0;
#endif
    for (unsigned i = 0; i < inputs; ++i) {
      if (x[i] == 0) continue;
      int32_t w = row[i] - net_step(error * x[i], shift, &random);
      w = w > NET_GREATEST_WEIGHT ? NET_GREATEST_WEIGHT : w < -NET_GREATEST_WEIGHT - 1 ? -NET_GREATEST_WEIGHT - 1 : w;
#if NET_GRAPES
      change += net_size(w) - net_size(row[i]);
#endif
      row[i] = (net_weight)w;
    }
#if NET_BIASES
    s->biases[n] = net_saturate(s->biases[n] - net_step(error * ((int32_t)1 << layer->input_fraction), shift, &random));
#endif
#if NET_GRAPES
    if (n < NET_HIDDEN) s->responsibility[n] += change;
#endif
  }
  s->random = random;
}

/* From the last layer to the first; the error of a layer is sent down before its weights change. */
static inline void net_backward(net_state *s, const int16_t *x) {
  for (unsigned l = NET_LAYERS; l-- > 0;) {
    if (l > 0) net_error_below(s, l);
    net_update(s, l, l > 0 ? s->values + net_layers[l - 1].first_node : x);
  }
}

#endif

/* ---- Functions to call ---- */

/* Sets the state to the trained weights. */
static inline void net_init(net_state *s) {
  memset(s, 0, sizeof *s);
#if NET_LEARNS
  memcpy(s->weights, net_trained, sizeof s->weights);
#if NET_BIASES
  memcpy(s->biases, net_trained_biases, sizeof s->biases);
#endif
#if NET_GRAPES
  const net_weight *w = s->weights;
  for (unsigned l = 0; l + 1 < NET_LAYERS; ++l)
    for (unsigned n = 0; n < net_layers[l].nodes; ++n)
      for (unsigned i = 0; i < net_layers[l].inputs; ++i)
        s->responsibility[net_layers[l].first_node + n] += net_size(*w++);
#endif
  s->random = NET_FIRST_RANDOM;
#endif
}

/* x: NET_INPUTS numbers with NET_INPUT_FRACTION fraction bits. logits: room for NET_OUTPUTS with
   NET_ACTIVATION_FRACTION bits, or 0. Returns the class, if the network has classes. */
#if NET_CLASSES
static inline unsigned net_infer(net_state *s, const int16_t *x, int16_t *logits) {
#else
static inline void net_infer(net_state *s, const int16_t *x, int16_t *logits) {
#endif
  net_forward(s, x);
  if (logits != 0) memcpy(logits, s->values + NET_HIDDEN, NET_OUTPUTS * sizeof *logits);
#if NET_CLASSES
  return net_greatest(s->values + NET_HIDDEN);
#endif
}

#if NET_LEARNS && NET_CLASSES
/* One step from one example. label: below NET_OUTPUTS. Returns the class that the network
   answered before the step. */
static inline unsigned net_learn(net_state *s, const int16_t *x, unsigned label) {
  net_forward(s, x);
  const unsigned answer = net_greatest(s->values + NET_HIDDEN);
  net_output_error(s, label);
  net_backward(s, x);
  return answer;
}
#elif NET_LEARNS
/* One step from one example. targets: NET_OUTPUTS numbers with NET_ACTIVATION_FRACTION bits of fraction. */
static inline void net_learn(net_state *s, const int16_t *x, const int16_t *targets) {
  net_forward(s, x);
  net_output_error(s, targets);
  net_backward(s, x);
}
#endif
