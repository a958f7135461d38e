#include "grapes/embedded/integers.h"

#include "grapes/base/table.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace grapes::embedded {
namespace {

using Integers = std::vector<std::int32_t>;

std::vector<double> doubles(const at::Tensor& x) {
  const at::Tensor flat = x.detach().to(at::kCPU, at::kDouble).contiguous().flatten();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

const fixed::Activation& activation_of(const std::string& name) {
  std::vector<std::string> known;
  for (const fixed::Activation& row : fixed::activations()) {
    if (row.name == name) return row;
    known.emplace_back(row.name);
  }
  throw UsageError("activation '" + name + "' is not supported in integers; available: " + join(known, ", "));
}

bool by_grapes(const nn::Options& trained, const std::string& rule) {
  if (rule == "bp" || rule == "grapes") return rule == "grapes";
  if (rule != "auto") throw UsageError("the rule must be auto, bp or grapes; got '" + rule + "'");
  const credit::Rule& m = trained.rule;
  const std::string advice = "; in integers the rule must be bp or grapes";
  if (m.route != "bp") throw UsageError("the network was trained on route '" + m.route + "'" + advice);
  if (m.modulation == "none") return false;
  if (m.modulation != "grapes")
    throw UsageError("the network was trained with modulation '" + m.modulation + "'" + advice);
  using Kind = credit::Clip::Kind;
  using credit::Responsibility;
  const bool standard = m.gain == 2 && (m.clip.kind == Kind::by_route || m.clip == credit::Clip{Kind::range, 1, 2}) &&
                        m.reduction == credit::Reduction::sum &&
                        (m.responsibility == Responsibility::by_route || m.responsibility == Responsibility::incoming);
  if (!standard)
    throw UsageError("the network was trained with a gain, clip or responsibility that integers do not support" +
                     advice);
  return true;
}

/// The converted network outputs logits. For classes only their order matters, so outputs that keep the order are
/// supported.
void check_output(const nn::Options& trained, bool classes) {
  std::vector<std::string> known = {"auto", "identity"};
  if (classes) known.insert(known.end(), {"softmax", "sigmoid", "tanh"});
  if (std::find(known.begin(), known.end(), trained.output) == known.end())
    throw UsageError(fmt::format("output '{}' is not supported in integers{}; available: {}", trained.output,
                                 classes ? "" : " for regression", join(known, ", ")));
}

fixed::Learning learning_of(const nn::Options& trained, const nn::Criterion& criterion, const IntegerOptions& options) {
  if (trained.fan_in || trained.prune < 1)
    throw UsageError(
        "removed weights (fan-in, prune) would learn again in integers; export the network without --learn");
  fixed::Learning learning;
  learning.grapes = by_grapes(trained, options.rule);
  learning.factor_bits = options.factor_bits;
  learning.rate_shift = options.rate_shift;
  const bool bare = trained.output == "auto" || trained.output == "identity";
  if (criterion.name() == "mse" && bare)
    learning.loss = fixed::Learning::Loss::squares;
  else if (criterion.name() != "cross-entropy")
    throw UsageError(
        fmt::format("loss '{}' with output '{}' is not supported in integers; available: cross-entropy, mse with "
                    "output identity",
                    criterion.name(), trained.output));
  return learning;
}

}  // namespace

fixed::Network integers(const nn::Network& model, const nn::Options& trained, const nn::Criterion& criterion,
                        data::ProblemKind problem, const IntegerOptions& options) {
  if (trained.analog)
    throw UsageError("analog: weights in crossbars of " + analog::to_string(trained.analog.device) +
                     " are not supported in integers");
  if (trained.model.name != "mlp" && trained.model.name != "linear")
    throw UsageError("model '" + nn::to_string(trained.model) +
                     "' is not supported in integers; available: linear, mlp");
  if (problem == data::ProblemKind::prediction)
    throw UsageError("networks with an output at every time step are not supported in integers");
  fixed::Network network;
  network.formats = options.formats;
  network.activation = &activation_of(trained.activation);
  network.biases = trained.bias;
  network.classes = problem == data::ProblemKind::classification;
  check_output(trained, network.classes);
  if (options.learn) network.learning = learning_of(trained, criterion, options);
  const int headroom = options.headroom >= 0 ? options.headroom : options.learn ? 1 : 0;

  std::map<std::string, at::Tensor> parameters;
  for (const nn::Named& parameter : model.parameters()) parameters[parameter.name] = parameter.value;
  for (std::size_t l = 0; parameters.count(fmt::format("layers.{}.weight", l)) > 0; ++l) {
    const at::Tensor weight = parameters.at(fmt::format("layers.{}.weight", l));
    const auto bias = parameters.find(fmt::format("layers.{}.bias", l));
    network.layers.push_back(
        fixed::quantize(doubles(weight), bias == parameters.end() ? std::vector<double>() : doubles(bias->second),
                        static_cast<std::size_t>(weight.size(1)), options.formats.weight_bits, headroom, l));
  }
  if (network.learning && network.layers.size() == 1) network.learning->grapes = false;  // nothing to modulate
  fixed::check(network);
  return network;
}

std::vector<Integers> integers(const at::Tensor& examples, int fraction) {
  const at::Tensor scaled = (examples.detach().flatten(1).to(at::kDouble) * static_cast<double>(1 << fraction))
                                .add(0.5)
                                .floor()
                                .clamp(-32768, 32767)
                                .to(at::kInt)
                                .contiguous();
  std::vector<Integers> rows;
  for (std::int64_t b = 0; b < scaled.size(0); ++b) {
    const std::int32_t* row = scaled.data_ptr<std::int32_t>() + b * scaled.size(1);
    rows.emplace_back(row, row + scaled.size(1));
  }
  return rows;
}

}  // namespace grapes::embedded
