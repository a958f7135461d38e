#include "grapes/nn/models.h"

#include "grapes/base/table.h"
#include "grapes/base/text.h"
#include "grapes/nn/words.h"

#include <algorithm>
#include <utility>

namespace grapes::nn {
namespace {

using Do = Stage::Do;

Stage convolution(std::int64_t channels, std::int64_t pool = 1) { return {Do::convolve, channels, 3, 1, 1, pool}; }
Stage hidden(std::int64_t units, bool drops = false) {
  Stage stage{Do::dense, units};
  stage.drops = drops;
  return stage;
}
Stage bare(Stage stage) {
  stage.activates = false;
  return stage;
}
Stage over_all(Do what) {
  Stage stage{what};
  stage.pool = 0;
  return stage;
}
void append(Stages& stages, const Stages& more) { stages.insert(stages.end(), more.begin(), more.end()); }

Stages mlp(const Model& model, const Signature& signature) {
  Stages stages;
  for (const std::int64_t width : model.widths) stages.push_back(hidden(width, true));
  stages.push_back(output_layer(signature.outputs));
  return stages;
}

/// Hidden stages over time, and the outputs. For one answer per sequence the outputs are spiking neurons too. For an
/// answer at every step they are logits on the spikes of the last layer.
Stages over_time(const Stages& layers, const Signature& signature) {
  Stages stages = {{Do::encode}};
  append(stages, layers);
  stages.push_back(signature.each_step ? output_layer(signature.outputs) : bare({Do::spike, signature.outputs}));
  stages.push_back({Do::read});
  return stages;
}

Stages snn(const Model& model, const Signature& signature) {
  Stages layers;
  for (const std::int64_t width : model.widths) layers.push_back({Do::spike, width});
  return over_time(layers, signature);
}

Stage pooling(Do what, std::int64_t side) {
  Stage stage{what};
  stage.pool = side;
  return stage;
}
/// A convolution and its neurons.
Stages firing(const Stage& stage) { return {bare(stage), {Do::fire}}; }
Stages firing(std::int64_t channels, std::int64_t stride = 1) { return firing({Do::convolve, channels, 3, stride}); }

Stages spiking(const Model& model, const Signature& signature) {
  return over_time(spiking_stages_of_words(model.layers), signature);
}

Stages spiking_lenet(const Model&, const Signature& signature) {
  const bool small = signature.input_shape.size() == 3 && signature.input_shape[1] < 32;
  Stages layers = firing({Do::convolve, 6, 5, 1, small ? 2 : 0});
  layers.push_back(pooling(Do::average, 2));
  append(layers, firing({Do::convolve, 16, 5, 1, 0}));
  append(layers, {pooling(Do::average, 2), {Do::spike, 120}, {Do::spike, 84}});
  return over_time(layers, signature);
}

Stages spiking_vgg(const Model& model, const Signature& signature) {
  Stages layers;
  for (const std::int64_t width : model.widths) {
    append(layers, firing(width));
    append(layers, firing(width));
    layers.push_back(pooling(Do::average, 2));
  }
  if (!model.widths.empty()) layers.push_back({Do::spike, model.widths.back()});
  return over_time(layers, signature);
}

/// Fang et al. 2021 (SEW-ResNet, ADD): neurons after every convolution, also of a shortcut; spikes are added.
Stages spiking_resnet(const Model& model, const Signature& signature) {
  Stages layers;
  std::int64_t before = model.widths.empty() ? 0 : model.widths[0];
  if (before > 0) append(layers, firing(before));
  for (const std::int64_t width : model.widths)
    for (const bool first : {true, false}) {
      const std::int64_t stride = first && !layers.empty() && width != before ? 2 : 1;
      layers.push_back({Do::keep});
      append(layers, firing(width, stride));
      append(layers, firing(width));
      if (stride != 1 || width != before) {
        Stage shortcut{Do::shortcut, width, 1, stride, 0, 1, false};
        shortcut.fires = true;
        layers.push_back(shortcut);
      }
      layers.push_back(bare({Do::add}));
      before = width;
    }
  layers.push_back(over_all(Do::average));
  return over_time(layers, signature);
}

Stages cnn(const Model& model, const Signature& signature) {
  Stages stages;
  for (const std::int64_t width : model.widths) stages.push_back(convolution(width, 2));
  append(stages, {{Do::drop}, output_layer(signature.outputs)});
  return stages;
}

/// LeCun et al. 1998, with max pooling instead of trained averages. Images of 28 × 28 are padded to 32 × 32.
Stages lenet5(const Model&, const Signature& signature) {
  const bool small = signature.input_shape.size() == 3 && signature.input_shape[1] < 32;
  return {{Do::convolve, 6, 5, 1, small ? 2 : 0, 2},
          {Do::convolve, 16, 5, 1, 0, 2},
          hidden(120),
          {Do::drop},
          hidden(84),
          {Do::drop},
          output_layer(signature.outputs)};
}

Stages residual_pair(std::int64_t channels) {
  return {{Do::keep}, convolution(channels), convolution(channels), bare({Do::add})};
}

Stages resnet9(const Model&, const Signature& signature) {
  Stages stages = {convolution(64), convolution(128, 2)};
  append(stages, residual_pair(128));
  append(stages, {convolution(256, 2), convolution(512, 2)});
  append(stages, residual_pair(512));
  append(stages, {over_all(Do::max_pool), {Do::drop}, output_layer(signature.outputs)});
  return stages;
}

/// He et al. 2016, in the form for small images: a 3 × 3 convolution instead of the 7 × 7 convolution and its pooling.
Stages resnet18(const Model&, const Signature& signature) {
  Stages stages = {convolution(64)};
  std::int64_t before = 64;
  for (const std::int64_t width : {64, 128, 256, 512})
    for (const bool first : {true, false}) {
      const std::int64_t stride = first && width > 64 ? 2 : 1;
      append(stages, {{Do::keep}, {Do::convolve, width, 3, stride}, bare(convolution(width))});
      if (stride != 1 || width != before) stages.push_back({Do::shortcut, width, 1, stride, 0, 1, false});
      stages.push_back({Do::add});
      before = width;
    }
  append(stages, {over_all(Do::average), {Do::drop}, output_layer(signature.outputs)});
  return stages;
}

Stages in_words(const Model& model, const Signature& signature) {
  Stages stages = stages_of_words(model.layers);
  stages.push_back(output_layer(signature.outputs));
  return stages;
}

}  // namespace

Stage output_layer(std::int64_t outputs) { return bare({Do::dense, outputs}); }

bool has(const Stages& stages, Stage::Do what) {
  return std::any_of(stages.begin(), stages.end(), [&](const Stage& stage) { return stage.what == what; });
}

bool takes_maps(const Stages& stages) {
  return std::any_of(stages.begin(), stages.end(), [](const Stage& stage) { return stage.takes_map(); });
}

const std::vector<ModelRow>& models() {
  static const std::vector<ModelRow> rows = {
      {"mlp", "mlp:N1,N2,...: dense layers with N1, N2, ... hidden units", true, mlp},
      {"snn", "snn:N1,N2,...: layers of N1, N2, ... spiking neurons; see the keys of the group spiking", true, snn},
      {"spiking",
       "spiking:LAYER,LAYER,...: a list of spiking layers, like 128 or conv16k5s2p1 (kernel, stride, padding), of "
       "poolings avg2, sum2 and max2, and of delays like delay3; conv16-avg2 pools the current before the neurons",
       false, spiking, spiking_stages_of_words},
      {"spiking-lenet", "lenet5 with spiking neurons and average pooling", false, spiking_lenet},
      {"spiking-vgg",
       "spiking-vgg:C1,C2,...: two 3 × 3 spiking convolutions with C1 channels and 2 × 2 average pooling, the same "
       "with C2 channels, ..., then a dense layer with as many neurons as the last convolution has channels",
       true, spiking_vgg},
      {"spiking-resnet",
       "spiking-resnet:C1,C2,...: a spiking convolution, then two residual blocks of each width, whose spikes are "
       "added "
       "(SEW-ResNet; Fang et al. 2021)",
       true, spiking_resnet},
      {"linear", "one dense layer from inputs to outputs", false, mlp},
      {"cnn",
       "cnn:C1,C2,...: 3 × 3 convolutions with C1, C2, ... channels, each followed by 2 × 2 max pooling, then a dense "
       "layer",
       true, cnn},
      {"lenet5", "convolutions with 6 and 16 channels, dense layers with 120 and 84 units (LeCun et al. 1998)", false,
       lenet5},
      {"resnet9",
       "the authors' residual network: convolutions of 64 and 128 channels, a residual block of 128, convolutions of "
       "256 and 512, a residual block of 512, and a dense layer",
       false, resnet9},
      {"resnet18-cifar",
       "ResNet18 for small images: the first convolution is 3 × 3, without pooling after it (He et al. 2016)", false,
       resnet18},
      {"layers",
       "layers:WORD,WORD,...: any network of dense and convolutional layers, such as "
       "layers:conv16k5,max2,conv32s2,avg,64; see docs/convolutional.md",
       false, in_words, stages_of_words},
  };
  return rows;
}

Stages stages_of(const Model& model, const Signature& signature) {
  return find_row(models(), "model", model.name).stages(model, signature);
}

Model dense_model(std::vector<std::int64_t> hidden) { return {hidden.empty() ? "linear" : "mlp", std::move(hidden)}; }

Model parse_model(const std::string& text) {
  const std::size_t colon = text.find(':');
  const ModelRow& row = find_row(models(), "model", text.substr(0, colon));
  Model model{row.name, {}};
  if (row.words != nullptr) {
    if (colon == std::string::npos) return model;
    for (const std::string& word : split(text.substr(colon + 1), ',')) model.layers.emplace_back(trim(word));
    row.words(model.layers);
    return model;
  }
  if (!row.takes_widths && text != row.name)
    throw UsageError("model '" + text + "': " + row.name + " takes no arguments");
  if (!row.takes_widths) return model;
  for (const std::string& piece : split(colon == std::string::npos ? "" : text.substr(colon + 1), ',')) {
    const auto width = to_integer(trim(piece));
    if (!width || *width < 1 || *width > 1'000'000)
      throw UsageError("model '" + text + "': expected unit counts such as mlp:256,256; got '" + piece + "'");
    model.widths.push_back(*width);
  }
  return model;
}

Model model_with(const Stages& stages, const Signature& signature) {
  // Dropout is a setting of training, and not every row has it at the same places.
  const auto bare_of_drops = [](Stages list) {
    std::erase_if(list, [](const Stage& stage) { return stage.what == Do::drop; });
    for (Stage& stage : list) stage.drops = false;
    return list;
  };
  Stages all = stages;
  all.push_back(output_layer(signature.outputs));
  std::vector<std::int64_t> units;
  for (const Stage& stage : stages)
    if (stage.is_layer()) units.push_back(stage.units);
  for (const ModelRow& row : models()) {
    if (row.words != nullptr || (row.takes_widths && units.empty())) continue;
    const Model one = {row.name, row.takes_widths ? units : std::vector<std::int64_t>()};
    if (bare_of_drops(stages_of(one, signature)) == bare_of_drops(all)) return one;
  }
  return {"layers", {}, words_of(stages)};
}

std::string to_string(const Model& model) {
  if (!model.layers.empty()) return model.name + ":" + join(model.layers, ",");
  std::vector<std::string> widths;
  for (const std::int64_t width : model.widths) widths.push_back(std::to_string(width));
  return model.name + (widths.empty() ? "" : ":" + join(widths, ","));
}

}  // namespace grapes::nn
