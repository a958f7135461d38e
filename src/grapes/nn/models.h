#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// Models as values: lists of what is done one after the other.
namespace grapes::nn {

/// What goes into a network and what comes out.
struct Signature {
  std::vector<std::int64_t> input_shape;  ///< of one example, or of one step of a sequence
  std::int64_t outputs = 0;
  bool sequence = false;   ///< examples are sequences: inputs [batch, time, ...]
  bool each_step = false;  ///< the network answers at every step: logits [batch, time, outputs]
};

struct Stage {
  enum class Do {
    encode,    ///< a picture over time, or a sequence with its time first
    dense,     ///< a layer: what comes in is laid out in a row first; [activation,] [dropout]
    convolve,  ///< a layer: convolution, [normalization,] [activation,] [max pooling]
    spike,     ///< a layer of spiking neurons over time
    keep,      ///< remember the value
    shortcut,  ///< a layer without activation on what was remembered last, in its place
    add,       ///< what was remembered last to the value, [activation]
    max_pool,  ///< over squares of `pool`, or over all places
    average,   ///< over squares of `pool`, or over all places
    drop,      ///< dropout
    read       ///< from all steps to the answer: a readout, or the answers of each step
  } what;
  std::int64_t units = 0;  ///< channels or units of a layer
  std::int64_t kernel = 3, stride = 1, padding = 1;
  std::int64_t pool = 1;        ///< 0: all places
  bool activates = true;        ///< spike: false for outputs, which do not feed each other
  bool drops = false;           ///< dense: with dropout, if there is any
  std::string kind = "linear";  ///< dense: a row of layer_kinds()

  bool is_layer() const {
    return what == Do::convolve || what == Do::dense || what == Do::shortcut || what == Do::spike;
  }
};
using Stages = std::vector<Stage>;
bool has(const Stages& stages, Stage::Do what);
/// A dense layer of bare logits.
Stage output_layer(std::int64_t outputs);

/// A row of models() and its sizes.
struct Model {
  std::string name = "mlp";
  std::vector<std::int64_t> widths = {256, 256};
  bool operator==(const Model&) const = default;
};
/// Dense layers with so many hidden units each: "mlp", or "linear" where there are none.
Model dense_model(std::vector<std::int64_t> hidden);
/// "NAME" or "NAME:N1,N2,..." @throws UsageError for a name that is in no row, or widths that cannot be
Model parse_model(const std::string& text);
std::string to_string(const Model& model);

struct ModelRow {
  std::string name;
  std::string summary;
  bool takes_widths;
  Stages (*stages)(const std::vector<std::int64_t>& widths, const Signature& signature);
};
const std::vector<ModelRow>& models();
/// All of the model, the output layer too.
Stages stages_of(const Model& model, const Signature& signature);

}  // namespace grapes::nn
