#include "grapes/experiment/comparison.h"

#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/experiment/arms.h"
#include "grapes/experiment/environment.h"
#include "grapes/experiment/toml.h"
#include "grapes/record/record.h"
#include "grapes/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

namespace grapes::experiment {
namespace fs = std::filesystem;
namespace {

/// An arm's name is also the name of a folder. Records in folders named `tuning` are not runs of the comparison.
void check_folder_name(const std::string& arm) {
  if (arm.find('/') != std::string::npos || arm.front() == '.' || arm == "tuning" ||
      arm.find(record::claim_mark) != std::string::npos)
    throw UsageError("an arm cannot be called '" + arm + "', because a folder of its runs gets this name");
}

}  // namespace

Comparison::Comparison(Config config, fs::path folder) : config_(std::move(config)), folder_(std::move(folder)) {
  for (const std::string& name : config_.compare.arms) {
    Config arm = with_arm(config_, name);
    check_folder_name(arm.arm);
    given_[arm.arm] = arm.optimizer.learning_rate;
    index_[arm.arm] = arms_.size();
    arms_.emplace_back(arm.arm, arm);
  }
}

void Comparison::check(const data::Splits& splits) const {
  for (const auto& [label, arm] : arms_) check_possible(arm, splits);
  if (config_.compare.tune) check_tuning(splits);
}

void Comparison::begin(Begin how) {
  const fs::path path = folder_ / "compare.json";
  std::error_code error;
  const bool exists = fs::exists(path, error);
  if (how == Begin::resume && !exists)
    throw DataError(folder_.string() + " contains no comparison to resume: compare.json is missing");
  if ((how == Begin::create && exists) || record::is_run(folder_))
    throw DataError(folder_.string() + " already contains a comparison or a run: choose another folder or resume it");
  if (!create_file(folder_ / "config.toml", to_toml(config_))) check_same(config_, folder_);
  create_file(folder_ / "env.json", environment(config_).dump(2) + "\n");
  create_file(path, content());
  load();
  begun_ = true;
}

void Comparison::load() {
  const fs::path path = folder_ / "compare.json";
  std::error_code error;
  if (!fs::exists(path, error)) return;
  const record::Json saved = record::Json::parse(read_file(path), nullptr, false);
  if (!saved.is_object() || !saved.contains("tuning") || !saved.contains("learning_rates"))
    throw DataError(path.string() + ": expected an object with 'tuning' and 'learning_rates'");
  tuning_ = saved["tuning"];
  if (tuning_.is_null()) return;
  for (auto& [label, arm] : arms_) {
    const auto rate = saved["learning_rates"].find(label);
    if (rate == saved["learning_rates"].end() || !rate->is_number())
      throw DataError(path.string() + ": 'learning_rates' has no number for '" + label + "'");
    arm.optimizer.learning_rate = rate->get<double>();
  }
}

Job Comparison::job(const std::string& label, std::uint64_t seed, double rate) const {
  Job job{.what = "comparing",
          .name = fmt::format("{}, seed {}", label, seed),
          .config = arms_.at(index_.at(label)).second};
  job.folder = folder_ / "arms" / label;
  if (has_tasks(config_)) {
    job.name = fmt::format("{} at {}, seed {}", label, shortest(rate), seed);
    job.folder /= "rate-" + shortest(rate);
  }
  job.folder /= fmt::format("seed-{}", seed);
  job.config.training.seed = seed;
  job.config.optimizer.learning_rate = rate;
  return job;
}

std::vector<Job> Comparison::jobs() {
  const std::vector<Job> planned =
      config_.compare.tune ? trials(config_, {arms_.begin(), arms_.end()}, folder_ / "tuning") : std::vector<Job>();
  if (tunes()) trials_ = planned;
  for (std::size_t i = 0; i < trials_.size(); ++i) trials_[i].number = i;
  std::map<std::string, std::vector<std::size_t>> of_arm;
  for (std::size_t i = 0; i < trials_.size(); ++i) of_arm[trials_[i].config.arm].push_back(i);

  std::vector<Job> jobs = trials_;
  std::size_t number = planned.size();
  for (const std::uint64_t seed : seeds())
    for (const auto& [label, arm] : arms_) {
      const double given = given_.at(label), chosen = arm.optimizer.learning_rate;
      std::vector<std::size_t> after = of_arm[label];
      const bool waits = !after.empty();
      if (has_tasks(config_) && (waits || given != chosen)) {
        jobs.push_back(job(label, seed, given));
        jobs.back().number = number;
        after.push_back(jobs.size() - 1);  // the chosen rate may be the given one: then both are the same run
      }
      jobs.push_back(job(label, seed, chosen));
      // With several tasks and tuning there are two numbers, also if one run turns out to be enough.
      jobs.back().number = number += has_tasks(config_) && config_.compare.tune ? 1 : 0;
      ++number;
      if (!waits) continue;
      jobs.back().after = std::move(after);
      jobs.back().settle = [this, label = label, seed](Job& one) {
        settle(label);
        Job settled = job(label, seed, arms_.at(index_.at(label)).second.optimizer.learning_rate);
        one.name = std::move(settled.name);
        one.config = std::move(settled.config);
        one.folder = std::move(settled.folder);
      };
    }
  return jobs;
}

void Comparison::settle(const std::string& label) {
  if (!tunes() || choices_.contains(label)) return;
  for (auto& [name, arm] : arms_) {
    const bool has_trials =
        std::ranges::any_of(trials_, [&, &name = name](const Job& trial) { return trial.config.arm == name; });
    if (choices_.contains(name) || (name != label && has_trials)) continue;
    const Choice choice = choose(config_, arm, folder_ / "tuning");
    arm.optimizer.learning_rate = choice.rate;
    choices_[name] = choice.record;
  }
  if (choices_.size() < arms_.size()) return;
  tuning_ = tuning_record(config_);
  for (const auto& [name, choice] : choices_) tuning_["arms"][name] = choice;
  if (begun_) write_file(folder_ / "compare.json", content());
}

Outcome Comparison::conclude(std::span<const record::Status> statuses) {
  for (const auto& [label, arm] : arms_) settle(label);  // other processes may have carried out all runs of an arm
  Outcome outcome;
  bool any_finished = false;
  for (const record::Status& status : statuses.subspan(trials_.size())) {
    if (status.state == record::State::diverged) outcome.state = record::State::diverged;
    any_finished |= status.state == record::State::finished;
  }
  if (!any_finished) {
    status(outcome.state, "every run diverged, so there is no report");
    return outcome;
  }
  outcome.summary =
      report::summarize(report::read({folder_}), {.baseline = "", .target = config_.compare.target, .title = ""});
  outcome.report = report::write(*outcome.summary, folder_);
  status(outcome.state, outcome.state == record::State::diverged ? "at least one run diverged" : "");
  return outcome;
}

std::vector<std::uint64_t> Comparison::seeds() const {
  std::vector<std::uint64_t> seeds;
  for (std::int64_t k = 0; k < config_.compare.seeds; ++k)
    seeds.push_back(config_.training.seed + static_cast<std::uint64_t>(k));
  return seeds;
}

std::string Comparison::content() const {
  record::Json labels = record::Json::array(), rates = record::Json::object();
  for (const auto& [label, arm] : arms_) {
    labels.push_back(label);
    rates[label] = arm.optimizer.learning_rate;
  }
  const record::Json all = {{"arms", labels},          {"seeds", seeds()},
                            {"learning_rates", rates}, {"given_rates", given_},
                            {"tuning", tuning_},       {"smallest_effect", config_.compare.smallest_effect}};
  return all.dump(2) + "\n";
}

bool Comparison::concluded() const {
  const std::string text = read_file_if_exists(folder_ / "status.json").value_or("");
  const record::Json saved = record::Json::parse(text, nullptr, false);
  const std::string state = saved.is_object() ? saved.value("state", "") : "";
  return state == record::to_string(record::State::finished) || state == record::to_string(record::State::diverged);
}

void Comparison::status(record::State state, const std::string& message) const {
  const record::Json content = {{"state", record::to_string(state)}, {"message", message}};
  write_file(folder_ / "status.json", content.dump(2) + "\n");
}

}  // namespace grapes::experiment
