#include "grapes/experiment/tune.h"

#include "grapes/base/text.h"
#include "grapes/experiment/claim.h"
#include "grapes/experiment/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
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
double final_score(const std::filesystem::path& folder) {
  const auto status = ended(folder);
  if (!status || status->state == record::State::failed)
    throw RunError(fmt::format("cannot choose a learning rate: the run {} {}. Repeat the command to try it again",
                               folder.string(), status ? "failed: " + status->message : "has not ended"));
  return status->state == record::State::diverged ? lost : record::load_score(folder, "validation");
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

/// The number of rates of an extension.
constexpr int extension = 4;

/// Makes the runs of one arm.
struct Trials {
  const Config& config;
  const Config& arm;
  const std::filesystem::path& folder;

  Job job(double rate, std::int64_t k) const {
    Job job;
    job.what = "tuning";
    job.config = arm;
    job.config.training.seed = first_seed(config) + static_cast<std::uint64_t>(k);
    job.config.training.epochs = tuning_epochs(config);
    job.checkpoints = job.tests = false;
    set_rate(job, rate);
    return job;
  }

  void set_rate(Job& job, double rate) const {
    job.config.optimizer.learning_rate = rate;
    job.name = fmt::format("{}, learning rate {}", arm.arm, shortest(rate));
    job.folder = folder / arm.arm / shortest(rate) / fmt::format("seed-{}", job.config.training.seed);
  }

  /// Reads the scores of the grid and of its first `extensions`, as far as these were needed. @return by rate
  std::map<double, Trial> tried(std::int64_t extensions) const {
    std::map<double, Trial> all;
    std::vector<double> rates = grid_of(config);
    for (std::int64_t i = 0; !rates.empty(); ++i) {
      for (const double rate : rates) {
        Trial& trial = all[rate];
        trial.rate = rate;
        for (std::int64_t k = 0; k < config.compare.tune_seeds; ++k)
          trial.scores.push_back(final_score(job(rate, k).folder));
      }
      if (i == extensions) break;
      rates = next(all);
    }
    return all;
  }

  /// Returns the rates of the next extension, or nothing if the best rate is not at an end.
  static std::vector<double> next(const std::map<double, Trial>& tried) {
    std::vector<double> rates;
    for (const auto& [rate, trial] : tried) rates.push_back(rate);
    const double best = best_of(tried);
    if (rates.size() < 2 || (best != rates.front() && best != rates.back())) return {};
    return continuation(rates, best == rates.back(), extension);
  }

  static double best_of(const std::map<double, Trial>& tried) {
    const Trial* best = nullptr;
    for (const auto& [rate, trial] : tried)  // rates increase, so of equal ones the smaller stays
      if (best == nullptr || trial.mean() > best->mean()) best = &trial;
    return best->rate;
  }
};

}  // namespace

void check_tuning(const data::Splits& splits) {
  if (!splits.validation || splits.validation->size() == 0)
    throw UsageError("tune needs validation examples to choose a learning rate; set validation-split above 0");
}

std::vector<Job> trials(const Config& config, const std::map<std::string, Config>& arms,
                        const std::filesystem::path& folder) {
  std::vector<Job> jobs;
  std::map<std::string, std::vector<std::size_t>> of_arm;
  const auto add = [&](const std::string& arm, Job job) {
    of_arm[arm].push_back(jobs.size());
    jobs.push_back(std::move(job));
  };
  for (std::int64_t k = 0; k < config.compare.tune_seeds; ++k)
    for (const double rate : grid_of(config))
      for (const auto& [arm, arm_config] : arms)
        if (!names_its_rate(config, arm)) add(arm, Trials{config, arm_config, folder}.job(rate, k));
  for (std::int64_t i = 0; i < config.compare.extend_grid; ++i)
    for (auto& [arm, before] : std::map(of_arm))
      for (std::int64_t k = 0; k < config.compare.tune_seeds; ++k)
        for (std::size_t place = 0; place < extension; ++place) {
          const Config& arm_config = arms.at(arm);
          Job job = Trials{config, arm_config, folder}.job(grid_of(config).back(), k);
          job.name = fmt::format("{}, extension {} of the grid", arm, i + 1);
          job.after = before;
          job.settle = [config, arm_config, folder, i, place](Job& one) {
            const Trials all{config, arm_config, folder};
            const std::map<double, Trial> tried = all.tried(i);
            const std::vector<double> rates = Trials::next(tried);
            const auto known = grid_of(config).size() + static_cast<std::size_t>(i) * extension;
            one.needed = !rates.empty() && tried.size() == known;  // else an earlier extension was not needed
            if (one.needed) all.set_rate(one, rates[place]);
          };
          add(arm, std::move(job));
        }
  return jobs;
}

Choice choose(const Config& config, const Config& arm, const std::filesystem::path& folder) {
  Choice choice{arm.optimizer.learning_rate, {{"tried", record::Json::array()}}};
  if (!names_its_rate(config, arm.arm)) {
    const std::map<double, Trial> tried = Trials{config, arm, folder}.tried(config.compare.extend_grid);
    for (const auto& [rate, trial] : tried) choice.record["tried"].push_back(trial_json(trial));
    choice.rate = Trials::best_of(tried);
  }
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
