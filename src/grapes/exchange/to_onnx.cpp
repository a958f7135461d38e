#include "grapes/base/error.h"
#include "grapes/exchange/onnx.h"
#include "grapes/experiment/toml.h"
#include "grapes/experiment/version.h"
#include "grapes/kernels/loops.h"
#include "grapes/kernels/normalization.h"
#include "grapes/train/state.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <utility>

namespace grapes::exchange {
namespace {

constexpr std::int64_t operators_version = 13;  // of ai.onnx; runtimes since 2020 have it
constexpr const char* qonnx_domain = "qonnx.custom_op.general";

/// Writes the nodes of a model in the order of its stages. A node has the name of its only output.
class OnnxWriter {
 public:
  OnnxWriter(const experiment::Loaded& loaded, bool logits) : loaded_(loaded), options_(loaded.config.network) {
    for (const auto& list : {loaded.model->parameters(), loaded.model->buffers()})
      for (const nn::Named& one : list) values_[one.name] = one.value;
    onnx::Graph& graph = model_.graph;
    graph.name = "grapes";
    onnx::Shape shape = {-1};
    shape.insert(shape.end(), loaded.info.input_shape.begin(), loaded.info.input_shape.end());
    graph.inputs = {{"input", shape}};
    graph.outputs = {{"output", {-1, loaded.info.outputs}}};
    h_ = "input";
    add_normalization();
    add_stages();
    if (!logits) add_prediction();
    graph.nodes.back().outputs = {"output"};
    model_.operators[""] = operators_version;
    model_.producer = "grapes";
    model_.producer_version = experiment::version().number;
    model_.metadata = {{"config", experiment::to_toml(loaded.config)},
                       {"dataset", experiment::to_json(loaded.info).dump()}};
  }
  onnx::Model take() { return std::move(model_); }

 private:
  using Do = nn::Stage::Do;
  using Attributes = std::map<std::string, onnx::Attribute>;
  using Pair = std::vector<std::int64_t>;

  const experiment::Loaded& loaded_;
  const nn::Options& options_;
  std::map<std::string, at::Tensor> values_;
  onnx::Model model_;
  std::string h_;      // name of the value that the next stage takes
  bool map_ = false;   // whether it is [batch, channels, rows, columns]
  std::size_t l_ = 0;  // number of the next layer

  std::string node(const std::string& name, const char* type, std::vector<std::string> inputs,
                   Attributes attributes = {}, const char* domain = "") {
    model_.graph.nodes.push_back({name, type, domain, std::move(inputs), {name}, std::move(attributes)});
    return name;
  }
  std::string constant(const std::string& name, const at::Tensor& value) {
    const at::Tensor flat = value.detach().to(at::kCPU, at::kFloat).contiguous();
    const auto* data = flat.data_ptr<float>();
    model_.graph.initializers.push_back({name, flat.sizes().vec(), std::vector<float>(data, data + flat.numel())});
    return name;
  }
  std::string number(const std::string& name, double value) {
    return constant(name, at::scalar_tensor(value, at::kFloat));
  }
  at::Tensor value_of(const std::string& name) const {
    const auto found = values_.find(name);
    return found != values_.end() ? found->second : at::Tensor();
  }

  void add_normalization() {
    const data::Normalization& normalization = loaded_.normalization;
    if (normalization.shift.defined())
      h_ = node("input.shifted", "Sub", {h_, constant("input.shift", normalization.shift)});
    if (normalization.scale.defined())
      h_ = node("input.scaled", "Mul", {h_, constant("input.scale", normalization.scale)});
  }

  void add_stages() {
    const nn::Stages stages = nn::stages_of(options_.model, train::signature_of(loaded_.info));
    map_ = nn::takes_maps(stages);
    if (!map_ && loaded_.info.input_shape.size() != 1)
      h_ = node("input.flat", "Flatten", {h_}, {{"axis", std::int64_t{1}}});
    std::vector<std::string> kept;
    for (std::size_t i = 0; i < stages.size(); ++i) {
      const nn::Stage& stage = stages[i];
      const std::string name = fmt::format("stages.{}", i);
      switch (stage.what) {
        case Do::dense:
          add_dense(stage);
          break;
        case Do::convolve:
          h_ = convolved(stage, h_);
          break;
        case Do::keep:
          kept.push_back(h_);
          break;
        case Do::shortcut:
          kept.back() = convolved(stage, kept.back());
          break;
        case Do::add:
          h_ = node(name + ".sum", "Add", {h_, kept.back()});
          kept.pop_back();
          if (stage.activates) h_ = activated(name, options_.activation, h_);
          break;
        case Do::max_pool:
          h_ = pooled(name, stage.pool, "MaxPool", "GlobalMaxPool");
          break;
        case Do::average:
          h_ = pooled(name, stage.pool, "AveragePool", "GlobalAveragePool");
          break;
        case Do::drop:
          if (options_.compatibility.dropout_in_evaluation && options_.dropout > 0)
            throw UsageError(
                fmt::format("the dropout before layers.{} also runs in evaluation, so the same input has "
                            "other outputs each time: train with --no-dropout-in-evaluation",
                            l_));
          break;
        default:
          throw UsageError(
              fmt::format("layers.{} of model '{}' has spiking neurons, which have no operator in ONNX: "
                          "grapes export nir exports them",
                          l_, nn::to_string(options_.model)));
      }
    }
  }

  std::string layer() const { return fmt::format("layers.{}", l_); }

  void add_dense(const nn::Stage& stage) {
    if (options_.analog || stage.kind != "linear")
      throw UsageError(
          layer() +
          (options_.analog ? " has its weights in a crossbar of analog devices" : " is of the kind " + stage.kind) +
          ", which has no operator in ONNX: grapes export CHECKPOINT --out FILE.safetensors writes the "
          "weights alone");
    if (map_) h_ = node(layer() + ".flat", "Flatten", {h_}, {{"axis", std::int64_t{1}}});
    map_ = false;
    h_ = node(layer(), "Gemm", operands(h_), {{"transB", std::int64_t{1}}});
    if (stage.activates) h_ = activated(layer(), options_.activation, h_);
    ++l_;
  }

  std::string convolved(const nn::Stage& stage, const std::string& input) {
    const auto square = [](std::int64_t side) { return Pair{side, side}; };
    std::string h = node(
        layer(), "Conv", operands(input),
        {{"kernel_shape", square(stage.kernel)}, {"strides", square(stage.stride)}, {"pads", Pair(4, stage.padding)}});
    if (options_.norm != nn::Norm::none) h = normalized(h);
    if (stage.what == Do::convolve && stage.activates) h = activated(layer(), options_.activation, h);
    if (stage.pool > 1) h = window(layer() + ".pooled", "MaxPool", h, stage.pool);
    ++l_;
    return h;
  }

  std::string normalized(const std::string& h) {
    std::vector<std::string> inputs = {h};
    const at::Tensor scale = value_of(layer() + ".scale");
    for (const char* part : {"scale", "shift", "mean", "variance"})
      inputs.push_back(constant(layer() + "." + part, value_of(layer() + "." + part).expand_as(scale)));
    return node(layer() + ".normalized", "BatchNormalization", inputs,
                {{"epsilon", static_cast<float>(kernels::norm_epsilon)}});
  }

  std::string window(const std::string& name, const char* type, const std::string& h, std::int64_t side) {
    return node(name, type, {h}, {{"kernel_shape", Pair{side, side}}, {"strides", Pair{side, side}}});
  }
  std::string pooled(const std::string& name, std::int64_t side, const char* type, const char* whole) {
    return side == 0 ? node(name, whole, {h_}) : window(name, type, h_, side);
  }

  std::string activated(const std::string& name, const std::string& activation, const std::string& h) {
    const std::string out = name + "." + activation;
    if (activation == "relu") return node(out, "Relu", {h});
    if (activation == "tanh") return node(out, "Tanh", {h});
    if (activation == "sigmoid") return node(out, "Sigmoid", {h});
    if (activation == "softmax") return node(out, "Softmax", {h}, {{"axis", std::int64_t{1}}});
    if (activation == "leaky_relu")
      return node(out, "LeakyRelu", {h}, {{"alpha", static_cast<float>(kernels::leaky_slope)}});
    if (activation == "identity") return h;
    if (activation == "scaled_tanh") {
      const std::string inner = node(out + ".inner", "Mul", {h, number(out + ".in", kernels::scaled_tanh_inner)});
      return node(out, "Mul", {node(out + ".tanh", "Tanh", {inner}), number(out + ".out", kernels::scaled_tanh_outer)});
    }
    throw UsageError("activation " + activation + " of " + name + " has no operator in ONNX that Grapes knows");
  }

  /// The input, the weights and the bias of a layer, rounded to their formats.
  std::vector<std::string> operands(const std::string& input) {
    const at::Tensor W = value_of(layer() + ".weight"), b = value_of(layer() + ".bias");
    std::vector<std::string> all = {rounded_input(input), rounded_weight(W)};
    if (b.defined()) all.push_back(constant(layer() + ".bias", b));
    return all;
  }

  std::string rounded_input(const std::string& input) {
    const kernels::NumberFormat format = options_.precision.activations.nearest();
    if (!format) return input;
    if (format.scale != kernels::NumberFormat::Scale::none)
      throw UsageError(layer() + " rounds its inputs to " + to_string(format) +
                       ", with a scale from each batch, which has no operator in QONNX: train with a format of fixed "
                       "steps, such as --precision activations=q4.4");
    return quantized(layer() + ".input", input, format, at::scalar_tensor(1, at::kDouble));
  }

  std::string rounded_weight(const at::Tensor& W) {
    const std::string name = layer() + ".weight", given = constant(name, W);
    const kernels::NumberFormat format = options_.precision.weights.nearest();
    if (!format) return given;
    return quantized(name, given, format, kernels::scales(W, format, 0));
  }

  /// @param scale  [] or broadcasting over the value
  std::string quantized(const std::string& name, const std::string& value, const kernels::NumberFormat& format,
                        const at::Tensor& scale) {
    using Kind = kernels::NumberFormat::Kind;
    model_.operators[qonnx_domain] = 1;
    const onnx::Attribute nearest = std::string("ROUND");  // ties to even, as NumberFormat
    if (format.kind == Kind::floating)
      return node(
          name + ".rounded", "FloatQuant",
          {value, constant(name + ".scale", scale), number(name + ".exponent_bits", format.bits - 1 - format.fraction),
           number(name + ".fraction_bits", format.fraction),
           number(name + ".exponent_bias", 1 - format.lowest_exponent), number(name + ".largest", format.high)},
          {{"rounding_mode", nearest},
           {"has_inf", std::int64_t{0}},
           {"has_nan", std::int64_t{0}},
           {"has_subnormal", std::int64_t{1}},
           {"saturation", std::int64_t{1}}},
          qonnx_domain);
    return node(name + ".rounded", "Quant",
                {value, constant(name + ".step", scale * std::ldexp(1.0, -format.fraction)), number(name + ".zero", 0),
                 number(name + ".bits", format.bits)},
                {{"signed", std::int64_t{1}},
                 {"narrow", std::int64_t{format.kind == Kind::integer ? 1 : 0}},
                 {"rounding_mode", nearest}},
                qonnx_domain);
  }

  void add_prediction() {
    h_ = activated("output", loaded_.criterion.output(), h_);
    if (!loaded_.criterion.standardizes()) return;
    const data::DatasetInfo& info = loaded_.info;
    h_ = node("output.scaled", "Mul",
              {h_, constant("target.deviation", at::tensor(info.target_deviation, at::kDouble))});
    h_ = node("output.shifted", "Add", {h_, constant("target.mean", at::tensor(info.target_mean, at::kDouble))});
  }
};

}  // namespace

onnx::Model to_onnx(const experiment::Loaded& loaded, bool logits) { return OnnxWriter(loaded, logits).take(); }

}  // namespace grapes::exchange
