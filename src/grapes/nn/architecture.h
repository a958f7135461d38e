#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// Networks for pictures, as lists of what is done one after the other.
namespace grapes::nn {

struct Stage {
  enum class Do {
    convolve,  ///< a layer: convolution, [normalization,] [activation,] [max pooling]
    dense,     ///< a layer: what comes in is laid out in a row first
    keep,      ///< remember the value
    shortcut,  ///< a layer without activation on what was remembered last, in its place
    add,       ///< what was remembered last to the value, [activation]
    max_pool,  ///< over squares of `pool`, or over all places
    average,   ///< over squares of `pool`, or over all places
    drop       ///< dropout
  } what;
  std::int64_t nodes = 0;  ///< channels or nodes of a layer
  std::int64_t kernel = 3, stride = 1, padding = 1;
  std::int64_t pool = 1;  ///< 0: all places
  bool activates = true;
};

inline bool is_layer(const Stage& stage) {
  return stage.what == Stage::Do::convolve || stage.what == Stage::Do::dense || stage.what == Stage::Do::shortcut;
}

struct ArchitectureRow {
  std::string name;
  std::string summary;
  /// All stages but the output layer. @param widths  numbers after the colon @param side  of the pictures
  std::vector<Stage> (*stages)(const std::vector<std::int64_t>& widths, std::int64_t side);
  bool takes_widths;
};
const std::vector<ArchitectureRow>& architectures();
/// @param model  "NAME" or "NAME:C1,C2,..." @throws UsageError for a row or numbers that cannot be
std::vector<Stage> stages_of(const std::string& model, std::int64_t side);
/// "16,32" of "cnn:16,32" @throws UsageError that names the model
std::vector<std::int64_t> widths_of(const std::string& model);

}  // namespace grapes::nn
