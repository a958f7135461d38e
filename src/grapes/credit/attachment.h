#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

/// What a rule does to the layers of a model that somebody else wrote, layer by layer.
namespace grapes {

namespace credit {
struct Rule;
}

/// What becomes of one layer.
struct Attachment {
  enum class State {
    modulated,  ///< the error at its units is scaled
    local,      ///< its own gradient is scaled; the error passes unscaled
    output,     ///< left out: an output layer
    excluded,   ///< left out by include, exclude or the modulation `none`
    frozen,     ///< its weight does not learn and no error passes through it, so that nothing is there to scale
    unmatched   ///< its gradient is the plain one, see `reason`
  };
  std::string name;  ///< of the module, "encoder.0"; "lstm.l0" for a recurrent layer; a weight's own, "scale"
  State state = State::unmatched;
  std::string reason;     ///< unmatched: "used by EmbeddingBackward0", ...
  std::int64_t uses = 0;  ///< how often the last loss multiplied by its weight
  at::Tensor factor;      ///< [unit], [gates · unit] for a recurrent layer; undefined if nothing was scaled
};
/// "modulated", ...
std::string to_string(Attachment::State state);

/// The rule in one line, and a line per layer:
///
///     grapes: gain 2, clip [1, 2], incoming responsibility
///       0  modulated, 5 factors from 1.1 to 2
///       2  output
///
/// @param rule  a resolved one
std::string describe(const credit::Rule& rule, const std::vector<Attachment>& attachments);

}  // namespace grapes
