#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// A learning rule: a route, a modulation, and how factors are computed.
namespace grapes::credit {

/// Which weights count toward a unit's responsibility.
enum class Responsibility {
  by_route,  ///< the default of the authors' program for the route; `incoming` for a single layer
  incoming,  ///< incoming weights: rows of W, and of R in a recurrent layer
  input,     ///< incoming weights without R
  outgoing,  ///< outgoing weights: columns of the next layer's W
  synaptic   ///< for dfa: outgoing weights of a unit and of its inputs, as in the authors' program, see factors()
};

/// What a unit's responsibility is made from the absolute weights that count.
enum class Reduction {
  sum,
  mean  ///< over the weights that are not 0: a weight of 0 does not exist
};

/// The range of the factors.
struct Clip {
  enum class Kind {
    by_route,  ///< the default of the authors' program for the route
    none,      ///< no clip: (0, gain]
    range      ///< [low, high]
  } kind = Kind::by_route;
  double low = 1, high = 2;
  bool operator==(const Clip&) const = default;
};

/// How the error reaches a unit, and how it is scaled there. The program, the layers of nn, Modulator and
/// LocalOptimizer use this type.
///   δ^l ← m^l ⊙ δ^l,  m = clip(gain · r / max r, low, high),  r_n = Σ_i |W_ni|               Dellaferrera et al. 2022
///
///     Rule rule{.route = "fa", .gain = 3};
struct Rule {
  std::string route = "bp";           ///< a name in routes()
  std::string modulation = "grapes";  ///< a name in modulations()
  /// Factors of the modulation `constant`, or exponents of `power`: one for all hidden layers, or one per layer.
  std::vector<double> constants = {};
  Responsibility responsibility = Responsibility::by_route;
  Reduction reduction = Reduction::sum;
  double gain = 2;         ///< factor of the unit with the largest responsibility, before the clip
  Clip clip = {};          ///< range of the factors
  std::int64_t every = 1;  ///< number of batches for which the factors are kept
  /// Fraction bits of the factor, for every modulation: m is rounded to the nearest 1 + j / 2^k, with ties upward, as
  /// in fixed/factor.h. With 0 bits the factors are 1 and 2, so a shift is enough. Below 0: no rounding.
  int factor_bits = -1;
  /// Seed of the permutations of `shuffled` and `shuffled-fixed`; the program uses the seed of the run instead.
  std::uint64_t seed = 0;
  bool per_gate = false;  ///< LSTM, GRU: normalize each gate separately instead of all gates of a unit together
  /// Recurrent layers: also scale the error that runs back through R, which gives m^T after T time steps.
  bool compounding = false;
};

/// Compatibility flags: differences between the authors' program and the paper. All are off by default, and `grapes
/// parity` sets them.
struct Compatibility {
  /// Before the rows of W are summed, they are multiplied by the dropout mask of a batch's first example.
  bool first_sample_mask = false;
  bool single_factor = false;   ///< all examples except the first use the last hidden layer's factors, in every layer
  bool unmasked_first = false;  ///< IFA: the error at the first layer ignores dropout
  bool dropout_in_evaluation = false;  ///< residual networks: dropout is active in evaluation too
};

/// Returns a rule without modulation, as an output layer needs it.
Rule plain(std::string route = "bp");

/// Returns the rule with the defaults of its route filled in for responsibility and clip. A clip of kind `range` then
/// has its own low and high; a clip of kind `none` has 0 and gain.
/// @throws c10::ValueError for an unknown route or modulation, a number outside its range, or constants that the
///   modulation needs and cannot have
Rule resolved(Rule rule);

}  // namespace grapes::credit

namespace grapes {
using credit::Rule;
}
