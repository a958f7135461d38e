#include "grapes/nn/requirements.h"

#include "grapes/base/table.h"
#include "grapes/credit/modulation.h"
#include "grapes/nn/activation.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace grapes::nn {
namespace {

/// Whether φ(c z) = c φ(z) for c > 0.
bool is_homogeneous(const Activation& activation) {
  const at::Tensor z = at::tensor({-3.0, -0.5, 0.7, 2.0}, at::kDouble);
  return at::allclose(activation.apply(3 * z), 3 * activation.apply(z), 1e-12, 1e-12);
}

/// @throws UsageError with the message of the first condition that holds
void refuse(const std::vector<std::pair<bool, std::string>>& faults) {
  for (const auto& [wrong, words] : faults)
    if (wrong) throw UsageError(words);
}

}  // namespace

void require_possible(const Options& options, const Stages& stages, const Signature& signature,
                      const credit::Rule& rule) {
  const credit::Route& route = credit::route_of(rule);
  const std::string model = "; model is '" + to_string(options.model) + "'";
  const bool spiking = has_time(stages), pictures = takes_maps(stages);
  const Precision& precision = options.precision;
  const credit::Compatibility& theirs = options.compatibility;
  const auto layers = std::ranges::count_if(stages, [](const Stage& stage) { return stage.is_layer(); });
  const bool whole = credit::modulation_of(rule).whole != nullptr;
  const std::string of_whole =
      "modulation " + rule.modulation + " needs a chain of dense and convolutional layers; it ";
  const auto grouped = [](const Stage& stage) { return stage.is_layer() && stage.groups > 1; };
  const bool scaled = options.unit_scales > 0;
  const std::string of_scales = "unit-scales must not change what the network computes; it ";
  const bool sparse = options.fan_in || options.prune < 1;
  const std::string of_sparse = "fan-in and prune: removed weights ";
  const auto hidden_dense = [](const Stage& stage) { return stage.what == Stage::Do::dense && stage.activates; };
  const std::size_t constants = rule.constants.size(), hidden = static_cast<std::size_t>(layers) - 1;
  refuse({
      {precision.dtype != at::kFloat && (precision.dtype != at::kDouble || precision.bf16 || precision.has_formats()),
       "precision must be float32, float64, or float32 with bf16 or number formats"},
      {precision.bf16 && precision.has_formats(), "precision: bf16 and number formats exclude each other"},
      {std::ranges::any_of(stages, [](const Stage& stage) { return stage.is_layer() && stage.units < 1; }),
       "every layer must have at least one unit" + model},
      {!(options.dropout >= 0 && options.dropout < 1),
       "dropout must be at least 0 and below 1; got " + shortest(options.dropout)},
      {constants > 1 && constants != hidden,
       fmt::format("modulation {} has {} numbers, but model '{}' has {} hidden layers: give one for all, or one each",
                   rule.modulation, constants, to_string(options.model), hidden)},
      {whole && spiking, of_whole + "is not supported in spiking networks" + model},
      {whole && has(stages, Stage::Do::keep),
       of_whole + "is not supported with residual sums, which tie the scales of units" + model},
      {whole && std::ranges::any_of(stages, grouped), of_whole + "is not supported with groups of channels" + model},
      {whole && options.norm != Norm::none,
       of_whole + "is not supported with norm, which makes the scale of incoming weights meaningless" + model},
      {whole && options.analog, of_whole + "is not supported with analog crossbars"},
      {whole && rule.factor_bits >= 0, of_whole + "has factors far below 1, so factor-bits must be exact"},
      {whole && (theirs.first_sample_mask || theirs.single_factor),
       of_whole + "is not supported with first-sample-mask and single-factor"},
      {scaled && spiking, of_scales + "is not supported in spiking networks" + model},
      {scaled && has(stages, Stage::Do::keep),
       of_scales + "is not supported with residual sums, which tie the scales of units" + model},
      {scaled && std::ranges::any_of(stages, grouped), of_scales + "is not supported with groups of channels" + model},
      {scaled && options.norm != Norm::none, of_scales + "is not supported with norm, which removes such scales"},
      {scaled && (precision.has_formats() || options.analog),
       of_scales + "is not supported with number formats and analog crossbars, which round weights"},
      {scaled && !is_homogeneous(find_row(activations(), "activation", options.activation)),
       of_scales + "needs an activation with φ(c z) = c φ(z), like relu, leaky_relu or identity; activation is " +
           options.activation},
      {sparse && spiking, of_sparse + "are not supported in spiking networks" + model},
      {sparse && (precision.bf16 || precision.has_formats() || options.analog),
       of_sparse + "are not supported with bf16, number formats and analog crossbars"},
      {options.feedback_kernels && (route.feedback != credit::Feedback::direct || !pictures),
       "feedback-kernels needs route dfa and a convolutional network; the route is " + route.name + model},
      {options.fan_in && std::ranges::none_of(stages, hidden_dense), "fan-in needs a hidden dense layer" + model},
      {!(options.prune > 0 && options.prune <= 1),
       "prune must be above 0 and at most 1; got " + shortest(options.prune)},
      {route.upwards() && precision.has_formats(),
       "precision: number formats are not supported on route " + route.name + "; got " + to_string(precision)},
      {route.weights == credit::FeedbackWeights::learned && (precision.has_formats() || options.analog),
       "route " + route.name +
           " is not supported with number formats and analog crossbars, whose feedback weights do not learn; use fa"},
      {!spiking && signature.sequence, "sequences need a spiking model, like snn:N1,N2,..." + model},
      {!spiking && route.local_in_time, "route " + route.name + " is only supported in spiking networks" + model},
      {!pictures && theirs.dropout_in_evaluation,
       "dropout-in-evaluation is only supported in convolutional networks" + model},
      {!pictures && options.recompute, "recompute is only supported in convolutional networks" + model},
      {!pictures && options.norm != Norm::none, "norm is only supported in convolutional networks" + model},
      {!spiking && options.norm == Norm::threshold,
       "norm threshold is only supported in spiking networks; use batch" + model},
      {(pictures || spiking) && options.analog,
       "analog: crossbars are only supported in the models linear and mlp" + model},
      {(pictures || spiking) && (theirs.unmasked_first || theirs.first_sample_mask || theirs.single_factor),
       "unmasked-first, first-sample-mask and single-factor are only supported in the models linear and mlp" + model},
      {pictures && signature.input_shape.size() != 3,
       fmt::format("model '{}' takes images of shape [channels, rows, columns]; got examples of shape [{}]",
                   to_string(options.model), fmt::join(signature.input_shape, ", "))},
  });
  if (options.analog)
    refuse({{precision != Precision() || options.device != "cpu",
             "analog: arrays are simulated in float32 on the cpu; precision is " + to_string(precision) + ", device " +
                 options.device},
            {options.dropout > 0, "analog: dropout is not supported with crossbars"},
            {rule.reduction != credit::Reduction::sum,
             "analog: reduction must be sum, because an array reads sums of its weights"},
            {route.upwards(), "route " + route.name + " is not supported with analog crossbars"},
            {!(options.analog.share > 0 && options.analog.share <= 1),
             "analog: share must be above 0 and at most 1; got " + shortest(options.analog.share)}});
  if (spiking)
    refuse({{route.upwards(), "route " + route.name + " is not supported in spiking networks"},
            {precision.bf16, "precision bf16 is not supported in spiking networks"},
            {bool(precision.activations),
             "precision: activations are not rounded in spiking networks, where a spike is a bit"},
            {options.dropout > 0, "dropout is not supported in spiking networks"},
            {rule.responsibility == credit::Responsibility::synaptic,
             "responsibility synaptic is not supported in spiking networks: use incoming or outgoing"}});
}

}  // namespace grapes::nn
