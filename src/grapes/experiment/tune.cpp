#include "grapes/experiment/tune.h"

#include "grapes/base/text.h"

#include <ATen/ops/empty.h>
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

/// Returns the validation score after the last epoch.
double final_score(const Job& job, const record::Status& status) {
  if (status.state != record::State::finished) return lost;
  const record::Run run = record::load(job.folder);
  return record::result_row(run).at("validation_" + run.identity.score).get<double>();
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

std::optional<Tuning> tune(const Config& config, const std::map<std::string, Config>& arms, data::Splits splits,
                           const std::filesystem::path& folder, std::int64_t workers, const Overview& overview) {
  check_tuning(splits);
  splits.test = data::subset(splits.test, at::empty({0}, at::kLong));

  std::vector<double> grid = config.compare.grid;
  std::sort(grid.begin(), grid.end());
  grid.erase(std::unique(grid.begin(), grid.end()), grid.end());

  std::vector<Job> jobs;
  for (std::int64_t k = 0; k < config.compare.tune_seeds; ++k)
    for (const double rate : grid)
      for (const auto& [arm, arm_config] : arms) {
        if (names_its_rate(config, arm)) continue;
        Job job;
        job.config = arm_config;
        job.config.optimizer.learning_rate = rate;
        job.config.training.seed = first_seed(config) + static_cast<std::uint64_t>(k);
        if (config.compare.tune_epochs > 0) job.config.training.epochs = config.compare.tune_epochs;
        job.name = fmt::format("{}, learning rate {}", arm, shortest(rate));
        job.folder = folder / arm / shortest(rate) / fmt::format("seed-{}", job.config.training.seed);
        job.checkpoints = false;
        jobs.push_back(std::move(job));
      }
  const std::vector<record::Status> statuses = run_all(jobs, splits, workers, "tuning", overview);

  std::map<std::string, std::map<double, Trial>> trials;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto state = statuses[i].state;
    if (state == record::State::running || state == record::State::interrupted) return {};
    const double rate = jobs[i].config.optimizer.learning_rate;
    Trial& trial = trials[jobs[i].config.arm][rate];
    trial.rate = rate;
    trial.scores.push_back(final_score(jobs[i], statuses[i]));
  }

  Tuning tuning;
  record::Json record_of_arms = record::Json::object();
  for (const auto& [arm, arm_config] : arms) {
    record::Json tried = record::Json::array();
    double chosen = arm_config.optimizer.learning_rate;
    const Trial* best = nullptr;
    for (const auto& [rate, trial] : trials[arm]) {  // rates increase, so of equal ones the smaller stays
      tried.push_back(trial_json(trial));
      if (best == nullptr || trial.mean() > best->mean()) best = &trial;
    }
    if (best != nullptr) chosen = best->rate;
    tuning.chosen[arm] = chosen;
    record_of_arms[arm] = {{"chosen", chosen}, {"tried", tried}};
  }
  const std::int64_t epochs = config.compare.tune_epochs > 0 ? config.compare.tune_epochs : config.training.epochs;
  tuning.record = {{"grid", grid}, {"epochs", epochs}, {"seeds", config.compare.tune_seeds}, {"arms", record_of_arms}};
  return tuning;
}

}  // namespace grapes::experiment
