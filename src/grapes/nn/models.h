#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// Models as lists of stages that run one after the other.
namespace grapes::nn {

/// Shapes of a network's inputs and outputs.
struct Signature {
  std::vector<std::int64_t> input_shape;  ///< of one example, or of one step of a sequence
  std::int64_t outputs = 0;
  bool sequence = false;   ///< examples are sequences: inputs [batch, time, ...]
  bool each_step = false;  ///< one answer per time step: logits [batch, time, outputs]
};

struct Stage {
  enum class Do {
    encode,    ///< an image over time, or a sequence with its time axis first
    dense,     ///< linear layer on flattened input; [activation,] [dropout]
    convolve,  ///< convolution, [normalization,] [activation,] [max pooling]
    spike,     ///< layer of spiking neurons over time
    fire,      ///< spiking neurons on the current of the convolution before, which may be pooled
    delay,     ///< passes on the value of `units` time steps earlier
    keep,      ///< stores the value for a residual sum
    shortcut,  ///< replaces the stored value by a layer of it, without activation
    add,       ///< adds the stored value, [activation]
    max_pool,  ///< max pooling over windows of `pool`, or over the whole map
    average,   ///< average pooling over windows of `pool`, or over the whole map
    sum,       ///< sums over windows of `pool`
    drop,      ///< dropout
    read       ///< from all time steps to the answer: a readout, or the answers of each step
  } what;
  std::int64_t units = 0;  ///< channels or units of a layer
  std::int64_t kernel = 3, stride = 1, padding = 1;
  std::int64_t pool = 1;        ///< 0: the whole map
  bool activates = true;        ///< spike: false for output units, which have no recurrent connections
  bool drops = false;           ///< dense: with dropout, if the network has any
  std::string kind = "linear";  ///< dense: a name in layer_kinds()
  std::int64_t dilation = 1, groups = 1;
  bool fires = false;  ///< shortcut: followed by spiking neurons

  bool operator==(const Stage&) const = default;
  bool is_layer() const {
    return what == Do::convolve || what == Do::dense || what == Do::shortcut || what == Do::spike;
  }
  /// Whether it takes [channels, rows, columns], not a vector.
  bool takes_map() const {
    return what == Do::convolve || what == Do::shortcut || what == Do::max_pool || what == Do::average ||
           what == Do::sum;
  }
};
using Stages = std::vector<Stage>;
bool has(const Stages& stages, Stage::Do what);
/// Whether any stage takes [channels, rows, columns], not a vector.
bool takes_maps(const Stages& stages);
/// Whether there are time steps.
inline bool has_time(const Stages& stages) { return has(stages, Stage::Do::encode); }
/// A linear layer that outputs logits.
Stage output_layer(std::int64_t outputs);

/// A name in models() and its widths, or its layers in words.
struct Model {
  std::string name = "mlp";
  std::vector<std::int64_t> widths = {256, 256};
  std::vector<std::string> layers = {};
  bool operator==(const Model&) const = default;
};
/// A network of linear layers: "mlp", or "linear" without hidden layers.
Model dense_model(std::vector<std::int64_t> hidden);
/// Returns the row of models() with these stages, which are without output layer, or else their words.
Model model_with(const Stages& stages, const Signature& signature);
/// Parses "NAME", "NAME:N1,N2,...", or "layers:WORD,WORD,..." and "spiking:WORD,WORD,..." with the words of nn/words.h.
/// @throws UsageError for an unknown name, invalid widths or words
Model parse_model(const std::string& text);
std::string to_string(const Model& model);

struct ModelRow {
  std::string name;
  std::string summary;
  bool takes_widths;
  Stages (*stages)(const Model& model, const Signature& signature);
  Stages (*words)(const std::vector<std::string>& words) = nullptr;  ///< of a model in words: parses its words
};
const std::vector<ModelRow>& models();
/// Returns all stages of the model, including the output layer.
Stages stages_of(const Model& model, const Signature& signature);

}  // namespace grapes::nn
