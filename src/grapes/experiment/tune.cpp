#include "grapes/experiment/tune.h"

#include "grapes/base/text.h"
#include "grapes/experiment/claim.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

namespace grapes::experiment {
namespace {

constexpr double lost = -std::numeric_limits<double>::infinity();  // score of a diverged run

/// Returns the first seed for tuning, above all seeds of the comparison.
std::uint64_t first_seed(const Config& config) {
  return config.training.seed + static_cast<std::uint64_t>(std::max<std::int64_t>(1000, config.compare.seeds));
}

bool names_its_rate(const Config& config, const std::string& arm) {
  const auto own = config.own_arms.find(arm);
  return own != config.own_arms.end() && own->second.count("learning-rate") != 0;
}

/// Returns the validation score after the last epoch. @throws RunError if the run has no result, because it failed
double final_score(const Job& job) {
  const auto status = ended(job.folder);
  if (!status || status->state == record::State::failed)
    throw RunError(fmt::format("cannot choose a learning rate: the run {} {}. Repeat the command to try it again",
                               job.folder.string(), status ? "failed: " + status->message : "has not ended"));
  return status->state == record::State::diverged ? lost : record::load_score(job.folder, "validation");
}

std::vector<double> grid_of(const Config& config) {
  std::vector<double> grid = config.compare.grid;
  std::sort(grid.begin(), grid.end());
  grid.erase(std::unique(grid.begin(), grid.end()), grid.end());
  return grid;
}

std::int64_t tuning_epochs(const Config& config) {
  return config.compare.tune_epochs > 0 ? config.compare.tune_epochs : config.training.epochs;
}

/// An arm at one rate.
struct Trial {
  double rate = 0;
  std::vector<double> scores;  ///< per tuning seed
  double mean() const {
    return std::accumulate(scores.begin(), scores.end(), 0.0) / static_cast<double>(scores.size());
  }
};

record::Json trial_json(const Trial& trial) {
  const auto number = [](double score) { return score == lost ? record::Json() : record::Json(score); };
  record::Json scores = record::Json::array();
  for (const double score : trial.scores) scores.push_back(number(score));
  return {{"learning_rate", trial.rate}, {"validation_mean", number(trial.mean())}, {"validation", scores}};
}

}  // namespace

void check_tuning(const data::Splits& splits) {
  if (!splits.validation || splits.validation->size() == 0)
    throw UsageError("tune needs validation examples to choose a learning rate; set validation-split above 0");
}

std::vector<Job> trials(const Config& config, const std::map<std::string, Config>& arms,
                        const std::filesystem::path& folder) {
  std::vector<Job> jobs;
  for (std::int64_t k = 0; k < config.compare.tune_seeds; ++k)
    for (const double rate : grid_of(config))
      for (const auto& [arm, arm_config] : arms) {
        if (names_its_rate(config, arm)) continue;
        Job job;
        job.what = "tuning";
        job.config = arm_config;
        job.config.optimizer.learning_rate = rate;
        job.config.training.seed = first_seed(config) + static_cast<std::uint64_t>(k);
        job.config.training.epochs = tuning_epochs(config);
        job.name = fmt::format("{}, learning rate {}", arm, shortest(rate));
        job.folder = folder / arm / shortest(rate) / fmt::format("seed-{}", job.config.training.seed);
        job.checkpoints = job.tests = false;
        jobs.push_back(std::move(job));
      }
  return jobs;
}

Choice choose(const std::vector<const Job*>& trials, double given) {
  std::map<double, Trial> tried;
  for (const Job* job : trials) {
    Trial& trial = tried[job->config.optimizer.learning_rate];
    trial.rate = job->config.optimizer.learning_rate;
    trial.scores.push_back(final_score(*job));
  }
  Choice choice{given, {{"tried", record::Json::array()}}};
  const Trial* best = nullptr;
  for (const auto& [rate, trial] : tried) {  // rates increase, so of equal ones the smaller stays
    choice.record["tried"].push_back(trial_json(trial));
    if (best == nullptr || trial.mean() > best->mean()) best = &trial;
  }
  if (best != nullptr) choice.rate = best->rate;
  choice.record["chosen"] = choice.rate;
  return choice;
}

record::Json tuning_record(const Config& config) {
  return {{"grid", grid_of(config)},
          {"epochs", tuning_epochs(config)},
          {"seeds", config.compare.tune_seeds},
          {"arms", record::Json::object()}};
}

}  // namespace grapes::experiment
