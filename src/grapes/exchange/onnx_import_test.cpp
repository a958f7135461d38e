// Graphs of other programs, node by node.
#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/exchange/onnx.h"
#include "grapes/onnx/file.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

namespace grapes::exchange {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Attributes = std::map<std::string, onnx::Attribute>;
using Ints = std::vector<std::int64_t>;

/// Each node takes the value of the node before it, and then constants. Its name is its type and number, "Gemm0".
struct OtherGraph {
  onnx::Model model;
  std::string last = "x";

  explicit OtherGraph(const onnx::Shape& example) {
    model.producer = "pytorch";
    onnx::Shape shape = {-1};
    shape.insert(shape.end(), example.begin(), example.end());
    model.graph.inputs = {{"x", shape}};
  }
  std::vector<onnx::Node>& nodes() { return model.graph.nodes; }

  std::string constant(const at::Tensor& value) {
    const std::string name = "c" + std::to_string(model.graph.initializers.size());
    const at::Tensor all = value.to(at::kFloat).contiguous();
    const auto* data = all.data_ptr<float>();
    model.graph.initializers.push_back({name, all.sizes().vec(), std::vector<float>(data, data + all.numel())});
    return name;
  }
  std::string constant(double value) { return constant(at::scalar_tensor(value)); }

  /// Adds a node with these inputs. @return its output
  std::string node(const std::string& type, const std::vector<std::string>& inputs, const Attributes& attributes = {}) {
    const std::string name = type + std::to_string(nodes().size());
    nodes().push_back(
        {name, type, type.ends_with("Quant") ? "qonnx.custom_op.general" : "", inputs, {name + ".out"}, attributes});
    return name + ".out";
  }
  OtherGraph& then(const std::string& type, std::vector<std::string> constants = {},
                   const Attributes& attributes = {}) {
    constants.insert(constants.begin(), last);
    last = node(type, constants, attributes);
    return *this;
  }
  OtherGraph& then(const std::string& type, const at::Tensor& value) { return then(type, {constant(value)}); }
  OtherGraph& gemm(const at::Tensor& W) { return then("Gemm", {constant(W)}, {{"transB", std::int64_t{1}}}); }
  OtherGraph& normalize(std::int64_t units) {
    return then("BatchNormalization", {constant(at::rand({units}) + 0.5), constant(at::rand({units})),
                                       constant(at::rand({units})), constant(at::rand({units}) + 0.5)});
  }
  /// The inputs of a Quant after the first.
  std::vector<std::string> steps(const at::Tensor& step, double bits, double zero = 0) {
    return {constant(step), constant(zero), constant(bits)};
  }
  OtherGraph& quant(double step, double bits) { return then("Quant", steps(at::scalar_tensor(step), bits)); }
  std::string rounded(const at::Tensor& value, const at::Tensor& step, double bits, const Attributes& attributes = {},
                      double zero = 0) {
    std::vector<std::string> inputs = steps(step, bits, zero);
    inputs.insert(inputs.begin(), constant(value));
    return node("Quant", inputs, attributes);
  }

  Import import() {
    model.graph.outputs = {{last, {-1, -1}}};
    return from_onnx(model, config_of(model, "x.onnx"), nullptr, "x.onnx");
  }
  std::string refusal() {
    try {
      import();
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("x.onnx"));
      return error.what();
    }
    return "nothing was refused";
  }
};

const Attributes narrow = {{"narrow", std::int64_t{1}}};

at::Tensor drawn(at::IntArrayRef shape) { return at::rand(shape) * 2 - 1; }
at::Tensor outputs(const Import& made, const at::Tensor& x) {
  return made.model->forward(made.normalization(x.clone()), {});
}
void expect_close(const at::Tensor& a, const at::Tensor& b) { EXPECT_TRUE(at::allclose(a, b, 1e-5, 1e-6)) << a << b; }
/// To the nearest of k · step, -2^(bits-1) <= k < 2^(bits-1).
at::Tensor quantized(const at::Tensor& x, double step, int bits) {
  const double most = std::ldexp(1.0, bits - 1);
  return (x / step).round().clamp(-most, most - 1) * step;
}

TEST(OnnxImport, InputsMayBeOnlyScaledOrOnlyShifted) {
  const at::Tensor W = drawn({2, 3}), x = drawn({5, 3}), c = at::tensor({0.5F, -2.0F, 4.0F});
  const auto expect = [&](OtherGraph& graph, const at::Tensor& inputs) {
    expect_close(outputs(graph.gemm(W).import(), x), at::matmul(inputs, W.t()));
  };
  expect(OtherGraph({3}).then("Mul", c), x * c);
  expect(OtherGraph({3}).then("Div", c), x / c);
  expect(OtherGraph({3}).then("Sub", c), x - c);
  expect(OtherGraph({3}).then("Add", c), x + c);
  expect(OtherGraph({3}).then("Div", at::scalar_tensor(255)).then("Sub", c).then("Div", c + 3),
         (x / 255 - c) / (c + 3));
  EXPECT_THAT(OtherGraph({3}).then("Mul", at::zeros({})).then("Add", c).gemm(W).refusal(),
              HasSubstr("infinite or NaN; expected finite constants"));
}

TEST(OnnxImport, TheScaleOfInputsFitsAnExample) {
  const at::Tensor W = drawn({2, 4}), x = drawn({5, 1, 2, 2}), c = at::rand({4}) + 1;
  const at::Tensor expected = at::matmul((x.flatten(1) - c) * c, W.t());
  expect_close(
      outputs(OtherGraph({1, 2, 2}).then("Flatten").then("Sub", c).then("Mul", c.view({1, 4})).gemm(W).import(), x),
      expected);
  const at::Tensor map = c.view({1, 1, 2, 2});
  expect_close(outputs(OtherGraph({1, 2, 2}).then("Sub", map).then("Mul", map).then("Flatten").gemm(W).import(), x),
               expected);
  EXPECT_THAT(OtherGraph({1, 2, 2}).then("Flatten").then("Mul", at::ones({3})).gemm(W).refusal(),
              HasSubstr("node 'Mul1' (Mul) has a constant of the shape [3], which does not fit an example, [1, 2, 2]"));
}

TEST(OnnxImport, OnlyInputsOfLayersAreRounded) {
  const at::Tensor W = drawn({3, 3}), filters = drawn({1, 1, 3, 3}), x = drawn({4, 1, 4, 4}) * 3, head = drawn({3, 4});
  const Attributes same = {{"pads", Ints(4, 1)}}, pool = {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}};
  // Rounding is monotonic, so it may come before a max pooling.
  const Import made =
      OtherGraph({1, 4, 4}).quant(0.25, 4).then("MaxPool", {}, pool).then("Flatten").gemm(head).import();
  expect_close(outputs(made, x), at::matmul(at::max_pool2d(quantized(x, 0.25, 4), {2, 2}).flatten(1), head.t()));

  const auto refused = HasSubstr("Quant) rounds a value that is not the input of a Gemm, MatMul or Conv");
  const auto by_3 = [] { return OtherGraph({3}); };
  EXPECT_THAT(by_3().quant(0.25, 4).gemm(W).quant(0.25, 4).refusal(), refused);
  EXPECT_THAT(by_3().gemm(W).quant(0.25, 4).then("Tanh").gemm(W).refusal(), refused);
  EXPECT_THAT(by_3().quant(0.25, 4).then("Sub", at::ones({})).then("Mul", at::ones({})).gemm(W).refusal(), refused);
  EXPECT_THAT(by_3().quant(0.25, 4).quant(0.5, 4).gemm(W).refusal(), refused);
  EXPECT_THAT(OtherGraph({1, 4, 4}).quant(0.25, 4).then("AveragePool", {}, pool).then("Flatten").gemm(head).refusal(),
              refused);
  const auto sum = [&](bool before, bool inside) {  // x + conv(x), with Quant before the fork or before the sum
    OtherGraph graph({1, 4, 4});
    if (before) graph.quant(0.25, 4);
    const std::string kept = graph.last;
    graph.then("Conv", {graph.constant(filters)}, same);
    if (inside) graph.quant(0.25, 4);
    graph.last = graph.node("Add", {graph.last, kept});
    return graph.then("MaxPool", {}, pool).then("Flatten").gemm(head);
  };
  EXPECT_EQ(sum(false, false).refusal(), "nothing was refused");
  EXPECT_THAT(sum(true, false).refusal(), refused);
  EXPECT_THAT(sum(false, true).refusal(), refused);
}

TEST(OnnxImport, ANormalizationBelongsToItsOwnBranch) {
  OtherGraph graph({1, 4, 4});
  for (const char* after : {"Relu", "Identity"})
    graph.then("Conv", {graph.constant(drawn({1, 1, 3, 3}))}, {{"pads", Ints(4, 1)}}).then(after);
  const std::string main = graph.last;
  graph.last = "x";
  graph.normalize(1);
  graph.last = graph.node("Add", {main, graph.last});
  EXPECT_THAT(graph.then("Flatten").gemm(drawn({3, 16})).refusal(),
              HasSubstr("(BatchNormalization) must come directly after a layer with weights"));
}

TEST(OnnxImport, RoundedWeightsAreNotScaled) {
  const at::Tensor W = at::tensor({0.9F, -0.4F, 0.3F, 0.7F}).view({2, 2}), step = at::scalar_tensor(0.25);
  const auto layer = [&](const Attributes& attributes) {
    OtherGraph graph({2});
    return graph.then("Gemm", {graph.rounded(W, step, 4)}, attributes);
  };
  const at::Tensor x = drawn({5, 2});
  expect_close(outputs(layer({}).import(), x), at::matmul(x, quantized(W, 0.25, 4)));
  const auto refused = AllOf(HasSubstr("node 'Gemm1' (Gemm) rounds its weights to q2.2"), HasSubstr("multiplied"));
  EXPECT_THAT(layer({{"alpha", 0.7F}}).refusal(), refused);
  EXPECT_THAT(layer({}).normalize(2).refusal(), refused);
  EXPECT_THAT(layer({}).then("Div", at::tensor({2.0F, 3.0F})).refusal(), refused);
  // A normalization stays where every convolution has one.
  const at::Tensor filters = drawn({2, 1, 3, 3});
  const auto convolutions = [&](bool both) {
    OtherGraph graph({1, 5, 5});
    graph.then("Conv", {graph.rounded(filters, step, 4)}).normalize(2).then("Relu");
    graph.then("Conv", {graph.rounded(drawn({2, 2, 1, 1}), step, 4)});
    if (both) graph.normalize(2);
    graph.then("Relu").then("Flatten");
    return graph.then("Gemm", {graph.rounded(drawn({18, 3}), step, 4)});
  };
  EXPECT_EQ(nn::to_string(convolutions(true).import().config.network.precision), "weights=q2.2,master=float32");
  EXPECT_THAT(convolutions(false).refusal(), HasSubstr("(Conv) rounds its weights to q2.2"));
}

TEST(OnnxImport, AQuantRoundsToNearestSignedNumbersWithoutZeroPoint) {
  const at::Tensor W = drawn({2, 3}), step = at::scalar_tensor(0.25);
  for (const std::int64_t thin : {0, 1}) {
    const auto with = [&](const char* name, const onnx::Attribute& value, double zero = 0) {
      OtherGraph graph({3});
      const Attributes attributes = {{"narrow", thin}, {name, value}};
      return graph.then("Gemm", {graph.rounded(W, step, 4, attributes, zero)}, {{"transB", std::int64_t{1}}}).refusal();
    };
    EXPECT_THAT(with("signed", std::int64_t{0}),
                HasSubstr("node 'Quant0' (qonnx.custom_op.general.Quant) is unsigned"));
    EXPECT_THAT(with("signed", std::int64_t{1}, 3), HasSubstr("has a zero point"));
    EXPECT_THAT(with("rounding_mode", std::string("FLOOR")), HasSubstr("rounds by FLOOR"));
  }
  const auto float_quant = [&](const char* name) {
    OtherGraph graph({3});
    const std::string weight = graph.node("FloatQuant",
                                          {graph.constant(W), graph.constant(1), graph.constant(4), graph.constant(3),
                                           graph.constant(7), graph.constant(448)},
                                          {{name, std::int64_t{0}}});
    return graph.then("Gemm", {weight}, {{"transB", std::int64_t{1}}}).refusal();
  };
  EXPECT_EQ(float_quant("has_inf"), "nothing was refused");
  EXPECT_THAT(float_quant("saturation"), HasSubstr("does not saturate"));
  EXPECT_THAT(float_quant("has_subnormal"), HasSubstr("has no subnormal numbers"));
}

TEST(OnnxImport, RoundedConstantsThatAreNoWeightsHaveTheirRoundedValue) {
  const at::Tensor W = drawn({2, 3}), b = at::tensor({0.37F, -1.9F}), x = drawn({5, 3});
  OtherGraph graph({3});
  graph.then("Gemm", {graph.constant(W), graph.rounded(b, at::tensor({0.3F, 0.7F}), 16)},
             {{"transB", std::int64_t{1}}});
  const at::Tensor rounded = at::tensor({0.3F, -2.1F});
  expect_close(outputs(graph.import(), x), at::matmul(x, W.t()) + rounded);
}

TEST(OnnxImport, AScalePerUnitIsFoundInBothLayoutsOfAMatrix) {
  const at::Tensor W = at::tensor({0.9F, -0.4F, 0.3F, 7.0F, 5.0F, -3.2F}).view({2, 3}), x = drawn({5, 3});
  const at::Tensor steps = at::tensor({0.25F, 1.0F}).view({2, 1});  // of int4: the largest weight is at most 7 steps
  const at::Tensor expected = at::matmul(x, ((W / steps).round().clamp(-7, 7) * steps).t());
  OtherGraph matmul({3}), gemm({3});
  matmul.then("MatMul", {matmul.rounded(W.t(), steps.t(), 4, narrow)});
  gemm.then("Gemm", {gemm.rounded(W, steps, 4, narrow)}, {{"transB", std::int64_t{1}}});
  for (OtherGraph* graph : {&matmul, &gemm}) {
    const Import made = graph->import();
    EXPECT_EQ(to_string(made.config.network.precision.weights), "int4:channel");
    expect_close(outputs(made, x), expected);
  }
}

TEST(OnnxImport, NodesAreInTheOrderInWhichTheyAreComputed) {
  const at::Tensor W = drawn({3, 3});
  OtherGraph loop({3});
  loop.nodes() = {{"a", "Flatten", "", {"x", "b"}, {"a"}, {}}, {"b", "Flatten", "", {"a"}, {"b"}, {}}};
  loop.last = "b";
  EXPECT_THAT(loop.gemm(W).refusal(),
              HasSubstr("node 'a' (Flatten) takes 'b', which is not an input, a constant or an output"));
  OtherGraph twice({3});
  twice.gemm(W).then("Relu").gemm(W);
  twice.nodes().back().outputs[0] = twice.nodes()[0].outputs[0];
  EXPECT_THAT(twice.refusal(), HasSubstr("the name 'Gemm0.out' is the name of two values"));
  OtherGraph missing({3});
  missing.gemm(W);
  missing.nodes()[0].inputs[1] = "none";
  EXPECT_THAT(missing.refusal(), HasSubstr("node 'Gemm0' (Gemm) takes 'none'"));
}

TEST(OnnxImport, BranchesMayLieInOthersUpToALimit) {
  const auto nested = [](int depth) {
    OtherGraph graph({1, 2, 2});
    const std::string filter = graph.constant(at::ones({1, 1, 1, 1}));
    std::vector<std::string> kept;
    for (int i = 0; i < depth; ++i) {
      kept.push_back(graph.last);
      graph.then("Conv", {filter});
    }
    for (; !kept.empty(); kept.pop_back()) graph.last = graph.node("Add", {graph.last, kept.back()});
    return graph.then("Flatten").gemm(at::eye(4));
  };
  const at::Tensor x = drawn({3, 1, 2, 2});
  expect_close(outputs(nested(3).import(), x), 4 * x.flatten(1));
  EXPECT_THAT(nested(100000).refusal(), HasSubstr("begins branches within 100 others"));
}

TEST(OnnxImport, AttributesThatChangeTheResultAreRefused) {
  const std::string filter = "filter";
  const auto network = [&](const std::string& type, const Attributes& attributes,
                           std::vector<std::string> inputs = {}) {
    OtherGraph graph({1, 4, 4});
    for (std::string& one : inputs)
      if (!one.empty()) one = graph.constant(one == filter ? drawn({1, 1, 3, 3}) : at::ones({1}));
    graph.then("Conv", {graph.constant(drawn({1, 1, 1, 1}))}).then(type, inputs, attributes).then("Flatten");
    return graph.then("Gemm", {graph.constant(drawn({4, 3}))}).refusal();
  };
  const onnx::Attribute two = Ints{2, 2}, none = Ints{0, 0}, one = std::int64_t{1};
  for (const char* type : {"MaxPool", "AveragePool"}) {
    EXPECT_EQ(network(type, {{"kernel_shape", two}, {"strides", two}}), "nothing was refused");
    EXPECT_THAT(network(type, {{"kernel_shape", two}, {"strides", two}, {"dilations", two}}),
                HasSubstr("has dilations"));
    EXPECT_THAT(network(type, {{"kernel_shape", none}, {"strides", none}}), HasSubstr("has windows of [0, 0]"));
    EXPECT_THAT(network(type, {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}}), HasSubstr("has windows of [2]"));
  }
  EXPECT_THAT(network("BatchNormalization", {{"training_mode", one}}, {"1", "1", "1", "1"}),
              HasSubstr("training mode"));
  EXPECT_THAT(network("Dropout", {}, {"", "1"}), HasSubstr("(Dropout) is in training mode"));
  EXPECT_THAT(network("Conv", {{"strides", none}}, {filter}), HasSubstr("has strides [0, 0]"));
  EXPECT_THAT(network("Conv", {{"pads", Ints(4, -1)}}, {filter}), HasSubstr("has pads [-1, -1, -1, -1]"));
  EXPECT_THAT(network("Conv", {{"kernel_shape", two}}, {filter}),
              HasSubstr("has a kernel_shape other than its weights"));
}

TEST(OnnxImport, SizesThatDoNotFitAreRefusedByTheirNode) {
  const auto units = HasSubstr("has a constant of the shape [3]; expected one number for each of the 2 units");
  const at::Tensor W = drawn({2, 3}), three = at::ones({3});
  OtherGraph bias({3}), conv({1, 1, 1});
  EXPECT_THAT(bias.then("Gemm", {bias.constant(W), bias.constant(three)}, {{"transB", std::int64_t{1}}}).refusal(),
              units);
  EXPECT_THAT(OtherGraph({3}).gemm(W).normalize(3).refusal(), units);
  EXPECT_THAT(OtherGraph({3}).gemm(W).then("Mul", three).then("Add", three).refusal(), units);
  conv.then("Conv", {conv.constant(drawn({2, 1, 1, 1})), conv.constant(three)});
  EXPECT_THAT(conv.then("Flatten").gemm(W).refusal(), units);
  OtherGraph column({2});  // one number per example
  EXPECT_THAT(column.then("Gemm", {column.constant(at::eye(2)), column.constant(at::ones({2, 1}))}).refusal(),
              HasSubstr("has a constant of the shape [2, 1]"));

  // No memory is taken for a network as large as its input.
  EXPECT_THAT(OtherGraph({1000000, 100000}).then("Flatten").gemm(W).refusal(), HasSubstr("fewer than 2^31 numbers"));
  EXPECT_THAT(OtherGraph({1, 4000000000, 4000000000}).then("Flatten").gemm(W).refusal(), HasSubstr("is too large"));
  EXPECT_THAT(
      OtherGraph({1, 40000, 50000}).then("Flatten").gemm(W).refusal(),
      HasSubstr("node 'Gemm1' (Gemm) has weights of the shape [2, 3]; at this place they must be [2, 2000000000]"));
}

TEST(OnnxImport, ADamagedFileIsRefusedOrAnotherNetwork) {
  const auto file = std::filesystem::temp_directory_path() / ("grapes-damaged-" + std::to_string(::getpid()) + ".onnx");
  OtherGraph graph({1, 4, 4});
  graph.then("Mul", at::full({}, 0.5));
  graph.then("Conv", {graph.constant(drawn({2, 1, 2, 2}))}, {{"strides", Ints{2, 2}}, {"pads", Ints(4, 1)}});
  graph.normalize(2).then("Relu").then("MaxPool", {}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  graph.quant(0.25, 4).then("Flatten").then("Gemm", {graph.constant(drawn({2, 2})), graph.constant(drawn({2}))});
  graph.model.graph.outputs = {{graph.last, {-1, 2}}};
  onnx::write(file, graph.model);
  const std::string whole = read_file(file);
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string wrong = whole;
    wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
    std::ofstream(file, std::ios::binary) << wrong;  // write_file() waits for the disk
    try {
      from_onnx(onnx::read(file), {}, nullptr, "x.onnx");
    } catch (const DataError&) {
      ++refused;
    } catch (const std::exception& error) {
      ADD_FAILURE() << "bit " << bit << ": " << error.what();
    }
  }
  EXPECT_GT(refused, 4 * whole.size());
  std::filesystem::remove(file);
}

TEST(OnnxImport, OnlyGrapesOwnMetadataCount) {
  OtherGraph graph({3});
  graph.model.metadata = {{"dataset", "imagenet"}, {"config", "adam"}};
  EXPECT_EQ(graph.gemm(drawn({2, 3})).import().info.outputs, 2);
  graph.model.producer = "grapes";
  EXPECT_THAT(graph.refusal(), HasSubstr("its configuration"));
  graph.model.metadata.erase("config");
  EXPECT_THAT(graph.refusal(), HasSubstr("the entry 'dataset' of its metadata is invalid"));
}

}  // namespace
}  // namespace grapes::exchange
