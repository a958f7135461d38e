#include "grapes/experiment/config.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/table.h"
#include "grapes/base/text.h"
#include "grapes/continual/method.h"
#include "grapes/credit/modulation.h"
#include "grapes/experiment/arms.h"
#include "grapes/experiment/key.h"
#include "grapes/optim/schedule.h"

#include <fmt/format.h>

#include <set>

namespace grapes::experiment {
namespace {

/// Checks the settings of crossbars that learn by pulses. No gradients are computed for pulses.
void check_pulses(const Config& config) {
  if (!config.network.analog || !config.network.analog.real.update) return;
  const std::string of = config.arm.empty() ? "analog" : "arm '" + config.arm + "': analog",
                    advice = " (or leave update out of analog-real)";
  if (config.optimizer.optimizer != "sgd")
    throw UsageError(of + ": pulsed updates need optimizer sgd; got " + config.optimizer.optimizer + advice);
  if (config.optimizer.weight_decay != 0)
    throw UsageError(of + ": pulsed updates do not support weight decay; weight-decay is " +
                     shortest(config.optimizer.weight_decay) + advice);
  if (find_row(continual::methods(), "method", config.continual.method).gradients)
    throw UsageError(of + ": pulsed updates have no gradients, which method " + config.continual.method + " needs" +
                     advice);
}

}  // namespace

void check(const Config& config) {
  optim::make_schedule(config.training.schedule, config.training.warm_up, config.training.epochs);
  if (!has_tasks(config) && config.continual.method != "none")
    throw UsageError("method = '" + config.continual.method + "' needs several tasks: set scenario");
  if (has_tasks(config) && (config.training.patience > 0 || config.training.carry_remainder))
    throw UsageError("patience and carry-remainder support one task only, but scenario = '" +
                     config.continual.scenario + "' has several");
  if (has_tasks(config) && config.network.encoding.draws == nn::Encoding::Draws::once)
    throw UsageError("encoder-draws = 'once' supports one task only, but scenario = '" + config.continual.scenario +
                     "' has several");
  if (config.grow && config.initial_weights.empty())
    throw UsageError("grow = true needs initial-weights, the checkpoint of a network with fewer hidden layers");
  check_pulses(config);
  if (config.training.accumulate > 1) check_divisible(config);
  if (!config.compare.sweep && !config.compare.sweep_values.empty())
    throw UsageError("sweep-values needs sweep, which is not set");
  if (config.compare.sweep && has_tasks(config))
    throw UsageError("sweep supports one task only, but scenario = '" + config.continual.scenario + "' has several");
  if (!config.arm.empty()) return;
  std::set<std::string> labels;
  for (const std::string& arm : config.compare.arms) {
    const Config own = with_arm(config, arm);
    if (!labels.insert(own.arm).second) throw UsageError("arms: duplicate arm '" + own.arm + "'");
    check_pulses(own);
  }
  if (config.compare.tune && config.data.validation_split == 0)
    throw UsageError("tune = true needs validation examples, but validation-split = 0");
}

void check_divisible(const Config& config) {
  const auto refuse = [](bool wrong, const std::string& what) {
    if (wrong) throw UsageError(what + " is not supported in several processes, nor with accumulate above 1");
  };
  const nn::Precision& precision = config.network.precision;
  const credit::Compatibility& theirs = config.network.compatibility;
  refuse(has_tasks(config), "scenario = '" + config.continual.scenario + "'");
  refuse(config.training.carry_remainder, "carry-remainder");
  const std::string& modulation = config.network.rule.modulation;
  refuse(!find_row(credit::modulations(), "modulation", modulation).matches.empty(),
         "modulation = '" + modulation + "'");
  refuse(theirs.first_sample_mask, "first-sample-mask");
  refuse(theirs.single_factor, "single-factor");
  refuse(static_cast<bool>(config.network.analog), "analog");
  refuse(config.network.device != "cpu", "device = '" + config.network.device + "'");
  // Such a format has one scale, or one sequence of random numbers, for a whole batch. Parts of the batch would have
  // others.
  for (const auto& [name, format] :
       {std::pair{"precision: activations", precision.activations}, {"precision: error", precision.error}}) {
    refuse(format.scale != kernels::NumberFormat::Scale::none, std::string(name) + " with a scale");
    refuse(format.stochastic, std::string(name) + " with stochastic rounding");
  }
}

void check_longer(const Config& config, std::int64_t epochs) {
  const std::int64_t more = config.training.epochs;
  const auto refuse = [&](const std::string& why) { throw UsageError(fmt::format("epochs = {}: {}", more, why)); };
  if (config.arm.empty() || has_tasks(config))
    refuse("only a single run on one task can be continued; start a new comparison");
  if (more < epochs) refuse(fmt::format("the run has {} already; give a larger number", epochs));
  const auto& schedule = config.training.schedule;
  const auto before = optim::make_schedule(schedule, config.training.warm_up, epochs);
  const auto after = optim::make_schedule(schedule, config.training.warm_up, more);
  for (double epoch = 0; epoch <= static_cast<double>(epochs); epoch += 0.25)
    if (before->multiple(epoch) != after->multiple(epoch))
      refuse(
          fmt::format("the schedule {} spreads its learning rates over {} epochs, so a longer run is another "
                      "experiment; train again with more epochs, or start from the run's weights with --init "
                      "checkpoints/last.safetensors",
                      optim::to_string(schedule), epochs));
}

std::string pairing(const Config& config, const std::string& data_fingerprint) {
  std::string text = data_fingerprint;
  for (const Key& key : keys())
    if (key.scope.pairing) text += "\n" + key.name + "=" + key.get(config);
  return sha256(text).substr(0, 16);
}

}  // namespace grapes::experiment
