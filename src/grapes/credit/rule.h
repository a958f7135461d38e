#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// A learning rule as a value: route × modulation, and how factors are made.
namespace grapes::credit {

/// Whose weights make a unit responsible.
enum class Responsibility {
  by_route,  ///< what the authors' program does on this route; a layer by itself: incoming
  incoming,  ///< the weights that arrive: rows of W, and of R in a recurrent layer
  input,     ///< the same without R
  outgoing,  ///< the weights that leave: columns of the next layer's W
  synaptic   ///< the authors' form on DFA: outgoing ones of a unit and of its presynaptic units, see factors()
};

/// The range of factors.
struct Clip {
  enum class Kind {
    by_route,  ///< as the authors' program does on this route
    none,      ///< (0, gain]
    range      ///< [low, high]
  } kind = Kind::by_route;
  double low = 1, high = 2;
  bool operator==(const Clip&) const = default;
};

/// How the error reaches a unit, and how it is scaled there. The program, the layers of nn and GRAPES for other
/// people's models take the same rule.
///   δ^l ← m^l ⊙ δ^l,  m = clip(gain · r / max r, low, high),  r_n = Σ_i |W_ni|               Dellaferrera et al. 2022
///
///     Rule rule{.route = "fa", .gain = 3};
struct Rule {
  std::string route = "bp";            ///< a row of routes()
  std::string modulation = "grapes";   ///< a row of modulations()
  std::vector<double> constants = {};  ///< of `constant`: one for all hidden layers, or one each
  Responsibility responsibility = Responsibility::by_route;
  double gain = 2;
  Clip clip = {};
  std::int64_t every = 1;  ///< batches between computations of the factors
  /// Bits of the factor's fraction, whatever the modulation: m to the nearest 1 + j / 2^k, a half upwards, as
  /// fixed/factor.h has it. 0: {1, 2}, a shift. Below 0: exact.
  int factor_bits = -1;
  std::uint64_t seed = 0;    ///< of `shuffled`, outside the program, where each run has a seed of its own
  bool per_gate = false;     ///< LSTM, GRU: each gate is normalized by itself, instead of all gates of a unit together
  bool compounding = false;  ///< recurrent layers: scale the error that runs back through R too: m^T after T steps
};

/// What the authors' program does besides, each off by default; `grapes parity` sets these flags.
struct Compatibility {
  bool first_sample_mask = false;  ///< the dropout mask of a batch's first sample masks rows before they are summed
  bool single_factor = false;      ///< all samples but the first take the last hidden layer's factor, in every layer
  bool unmasked_first = false;     ///< IFA: the first layer's error ignores dropout
  bool dropout_in_evaluation = false;  ///< residual networks: units are dropped in evaluation too
};

/// No modulation: the rule of an output layer.
Rule plain(std::string route = "bp");

/// The rule with nothing left to the route: responsibility and clip as the authors' program has them on it.
/// Of a clip that is a range, low and high are its ends; of none, 0 and gain.
/// @throws c10::ValueError for a route or a modulation that is in no table, or numbers that cannot be
Rule resolved(Rule rule);

}  // namespace grapes::credit

namespace grapes {
using credit::Rule;
}
