#include "grapes/experiment/run.h"

#include "grapes/base/file.h"
#include "grapes/continual/learner.h"
#include "grapes/experiment/arms.h"
#include "grapes/experiment/checkpoint.h"
#include "grapes/experiment/environment.h"
#include "grapes/experiment/toml.h"
#include "grapes/train/checkpoint.h"
#include "grapes/train/metrics.h"
#include "grapes/train/safetensors.h"
#include "grapes/train/sharing.h"
#include "grapes/train/trainer.h"

#include <filesystem>
#include <optional>

namespace grapes::experiment {
namespace fs = std::filesystem;
namespace {

fs::path last_checkpoint(const RunPlan& plan) { return plan.folder / "checkpoints" / "last.safetensors"; }

bool resumes(const RunPlan& plan) { return !plan.folder.empty() && plan.resume && fs::exists(last_checkpoint(plan)); }

/// The file with the initial weights of a run, or "".
std::string initial_weights(const Config& config, const RunPlan& plan) {
  if (!plan.init.empty() || (plan.group != nullptr && !plan.group->first())) return plan.init;
  std::string file = config.initial_weights;
  const std::string seed = "{seed}";
  for (std::size_t at = file.find(seed); at != std::string::npos; at = file.find(seed))
    file.replace(at, seed.size(), std::to_string(config.training.seed));
  return file;
}

/// Gives a new network the weights with which its training begins: loads them, and prunes them.
void take_initial_weights(const Config& config, const RunPlan& plan, nn::Network& model) {
  if (resumes(plan)) return;  // they come from the checkpoint
  if (const std::string file = initial_weights(config, plan); !file.empty()) {
    if (plan.init.empty() && !fs::exists(file))
      throw DataError("initial-weights: there is no file " + file +
                      "; {seed} stands for the seed of the run, which is " + std::to_string(config.training.seed));
    const train::Tensors content = train::read_safetensors(file);
    train::load_weights(config.grow ? train::grown(content, model, file) : content, model, file, false);
  }
  model.prune();
}

/// Trains with a new or resumed record. @param row  the last row of its metrics to keep; -1: none
template <class Train>
record::Status recorded(const Config& config, const data::Splits& splits, const data::DatasetInfo& info,
                        const RunPlan& plan, std::int64_t row, const Train& train) {
  record::Identity identity;
  identity.arm = config.arm.empty() ? arm_label(config) : config.arm;
  identity.seed = config.training.seed;
  identity.data = splits.name;
  identity.model = nn::to_string(config.network.model);
  identity.score = train::score_name(info.problem);
  identity.pairing = pairing(config, splits.fingerprint);
  auto writer = plan.resume && record::is_run(plan.folder)
                    ? record::Writer::resume(plan.folder, row)
                    : record::Writer::create(plan.folder, identity, to_toml(config), environment(config));
  if (plan.resume) {
    Config began;
    read_toml(began, (plan.folder / "config.toml").string());
    if (began.training.epochs != config.training.epochs) writer.describe(identity, to_toml(config));
  }
  const train::Tensors kept = constants(config, info, splits.normalization);
  try {
    return train({&writer, plan.checkpoints, kept.metadata, kept.tensors});
  } catch (const std::exception& error) {  // for example a full disk; try to note it in the record
    record::Status status;
    status.state = record::State::failed;
    status.message = error.what();
    try {
      writer.status(status);
    } catch (const Error&) {
      // Report the first error.
    }
    throw;
  }
}

record::Status run_tasks(const Config& config, const data::Splits& splits, const RunPlan& plan,
                         const train::ProgressCallback& on_progress) {
  const continual::Scenario scenario = scenario_of(config, splits);
  train::TrainState state(config.network, config.optimizer, config.training, scenario.info);
  if (plan.on_network) plan.on_network(*state.model);
  nn::Options plain = config.network;
  plain.rule = credit::plain();
  plain.compatibility = {};
  const continual::ContinualRun run{state, scenario, config.continual, config.optimizer, config.training, [&] {
                                      return nn::make_network(plain, train::signature_of(scenario.info),
                                                              config.training.seed);
                                    }};
  take_initial_weights(config, plan, *state.model);
  if (plan.folder.empty()) return continual::learn(run, {}, {}, on_progress);
  std::optional<continual::Checkpoint> checkpoint;
  if (resumes(plan)) checkpoint = {train::read_safetensors(last_checkpoint(plan)), last_checkpoint(plan).string()};
  return recorded(config, splits, scenario.info, plan, checkpoint ? continual::last_row(*checkpoint) : -1,
                  [&](const train::RunWriter& writer) {
                    write_file(plan.folder / "scenario.json", scenario.manifest.dump() + "\n");
                    return continual::learn(run, checkpoint, writer, on_progress);
                  });
}

record::Status run_one(const Config& config, const data::Splits& splits, const RunPlan& plan,
                       const train::ProgressCallback& on_progress) {
  train::TrainState state(config.network, config.optimizer, config.training, splits.info);
  if (plan.on_network) plan.on_network(*state.model);
  take_initial_weights(config, plan, *state.model);
  if (resumes(plan))
    train::unpack(train::read_safetensors(last_checkpoint(plan)), state, last_checkpoint(plan).string());
  if (plan.group != nullptr) train::equalize(*plan.group, state);
  if (plan.folder.empty()) return train::train(state, splits, config.training, {}, on_progress, plan.group);
  return recorded(config, splits, splits.info, plan, state.progress.step == 0 ? -1 : state.progress.epoch,
                  [&](const train::RunWriter& writer) {
                    return train::train(state, splits, config.training, writer, on_progress, plan.group);
                  });
}

}  // namespace

continual::Scenario scenario_of(const Config& config, const data::Splits& splits) {
  const continual::Options& options = config.continual;
  if (options.manifest.empty())
    return continual::make_scenario(
        continual::describe(options.scenario, options.tasks, splits, config.training.seed, options.blur), splits,
        "scenario");
  const record::Json manifest = continual::read_manifest(options.manifest);
  continual::Scenario scenario = continual::make_scenario(manifest, splits, options.manifest);
  if (manifest["scenario"] != options.scenario || static_cast<std::int64_t>(scenario.tasks.size()) != options.tasks)
    throw UsageError(options.manifest + " contains " + std::to_string(scenario.tasks.size()) + " tasks, " +
                     manifest["scenario"].get<std::string>() + ", but scenario = '" + options.scenario +
                     "' and tasks = " + std::to_string(options.tasks));
  return scenario;
}

data::DatasetInfo info_of(const Config& config, const data::Splits& splits) {
  return has_tasks(config) ? scenario_of(config, splits).info : splits.info;
}

void check_possible(const Config& config, const data::Splits& splits) {
  nn::check(config.network, train::signature_of(info_of(config, splits)));
}

record::Status run(const Config& config, const data::Splits& splits, const RunPlan& plan,
                   const train::ProgressCallback& on_progress) {
  return has_tasks(config) ? run_tasks(config, splits, plan, on_progress) : run_one(config, splits, plan, on_progress);
}

}  // namespace grapes::experiment
