#include "grapes/nn/architecture.h"

#include "grapes/base/table.h"
#include "grapes/base/text.h"

namespace grapes::nn {
namespace {

using Do = Stage::Do;
using Stages = std::vector<Stage>;
using Widths = std::vector<std::int64_t>;

Stage convolution(std::int64_t channels, std::int64_t pool = 1) { return {Do::convolve, channels, 3, 1, 1, pool}; }

Stages plain_stack(const Widths& widths, std::int64_t) {
  Stages stages;
  for (const std::int64_t width : widths) stages.push_back(convolution(width, 2));
  stages.push_back({Do::drop});
  return stages;
}

/// LeCun et al. 1998, with maxima for its trained averages; pictures of 28 are padded to its 32.
Stages lenet5(const Widths&, std::int64_t side) {
  return {{Do::convolve, 6, 5, 1, side < 32 ? 2 : 0, 2},
          {Do::convolve, 16, 5, 1, 0, 2},
          {Do::dense, 120},
          {Do::drop},
          {Do::dense, 84},
          {Do::drop}};
}

void residual_pair(Stages& stages, std::int64_t channels) {
  stages.push_back({Do::keep});
  stages.push_back(convolution(channels));
  stages.push_back(convolution(channels));
  Stage add{Do::add};
  add.activates = false;
  stages.push_back(add);
}

Stages resnet9(const Widths&, std::int64_t) {
  Stages stages = {convolution(64), convolution(128, 2)};
  residual_pair(stages, 128);
  stages.push_back(convolution(256, 2));
  stages.push_back(convolution(512, 2));
  residual_pair(stages, 512);
  Stage pool{Do::max_pool};
  pool.pool = 0;
  stages.push_back(pool);
  stages.push_back({Do::drop});
  return stages;
}

/// He et al. 2016, in the form for small pictures: a 3 × 3 convolution in place of the 7 × 7 and its pooling.
Stages resnet18(const Widths&, std::int64_t) {
  Stages stages = {convolution(64)};
  std::int64_t before = 64;
  for (const std::int64_t width : {64, 128, 256, 512})
    for (const bool first : {true, false}) {
      const std::int64_t stride = first && width > 64 ? 2 : 1;
      stages.push_back({Do::keep});
      stages.push_back({Do::convolve, width, 3, stride});
      Stage second = convolution(width);
      second.activates = false;
      stages.push_back(second);
      if (stride != 1 || width != before) stages.push_back({Do::shortcut, width, 1, stride, 0, 1, false});
      stages.push_back({Do::add});
      before = width;
    }
  stages.push_back({Do::average});
  stages.back().pool = 0;
  stages.push_back({Do::drop});
  return stages;
}

}  // namespace

const std::vector<ArchitectureRow>& architectures() {
  static const std::vector<ArchitectureRow> rows = {
      {"cnn",
       "cnn:C1,C2,...: 3 × 3 convolutions with so many channels, each with 2 × 2 max pooling, then a dense layer",
       plain_stack, true},
      {"lenet5", "convolutions of 6 and 16 channels, dense layers of 120 and 84 (LeCun et al. 1998)", lenet5, false},
      {"resnet9",
       "the authors' nine layers: 64, 128, pool, two of 128 and what went in, 256, pool, 512, pool, two of 512 and "
       "what "
       "went in, pool, dense",
       resnet9, false},
      {"resnet18-cifar", "18 layers for small pictures (He et al. 2016)", resnet18, false},
  };
  return rows;
}

std::vector<std::int64_t> widths_of(const std::string& model) {
  const std::size_t colon = model.find(':');
  const std::string arguments = colon == std::string::npos ? "" : model.substr(colon + 1);
  std::vector<std::int64_t> nodes;
  for (const std::string& piece : split(arguments, ',')) {
    const auto width = to_integer(trim(piece));
    if (!width || *width < 1 || *width > 1'000'000)
      throw UsageError("model '" + model + "': expected node counts such as mlp:256,256; got '" + piece + "'");
    nodes.push_back(*width);
  }
  return nodes;
}

std::vector<Stage> stages_of(const std::string& model, std::int64_t side) {
  const ArchitectureRow& row = find_row(architectures(), "model", model.substr(0, model.find(':')));
  if (!row.takes_widths && model != row.name)
    throw UsageError("model '" + model + "': " + row.name + " takes no arguments");
  return row.stages(row.takes_widths ? widths_of(model) : std::vector<std::int64_t>(), side);
}

}  // namespace grapes::nn
