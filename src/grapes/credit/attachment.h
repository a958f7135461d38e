#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

/// Reports what a rule does to each layer of an existing model.
namespace grapes {

namespace credit {
struct Rule;
}

/// How the rule treats one layer.
struct Attachment {
  enum class State {
    modulated,  ///< the error at its units is scaled
    local,      ///< its own gradient is scaled; the error below it is not
    output,     ///< output layer, not modulated
    excluded,   ///< not modulated because of include, exclude or the modulation `none`
    frozen,     ///< its weight does not require a gradient and no error passes through it
    unmatched   ///< not modulated, see `reason`; its gradient is that of plain backpropagation
  };
  std::string name;  ///< of the module ("encoder.0"), of a layer of an RNN ("lstm.l0"), or of a parameter ("scale")
  State state = State::unmatched;
  std::string reason;     ///< why it is unmatched: "used by EmbeddingBackward0", ...
  std::int64_t uses = 0;  ///< how often the graph of the last loss multiplies by its weight
  at::Tensor factor;      ///< [unit], or [gates · unit] for a recurrent layer; undefined if nothing was scaled
};
/// Returns the state's name: "modulated", ...
std::string to_string(Attachment::State state);

/// Returns the rule in one line, followed by one line per layer:
///
///     grapes: gain 2, clip [1, 2], incoming responsibility
///       0  modulated, 5 factors from 1.1 to 2
///       2  output
///
/// @param rule  as returned by credit::resolved()
std::string describe(const credit::Rule& rule, const std::vector<Attachment>& attachments);

}  // namespace grapes
