#include "grapes/experiment/compare.h"

#include "grapes/base/file.h"
#include "grapes/base/interrupt.h"
#include "grapes/base/text.h"
#include "grapes/experiment/arms.h"
#include "grapes/experiment/environment.h"
#include "grapes/experiment/key.h"
#include "grapes/experiment/toml.h"
#include "grapes/experiment/tune.h"
#include "grapes/report/report.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <map>
#include <memory>
#include <set>
#include <thread>

namespace grapes::experiment {
namespace fs = std::filesystem;
namespace {

/// An arm's name is also the name of a folder. Records in folders named `tuning` are not runs of the comparison.
void check_folder_name(const std::string& arm) {
  if (arm.find('/') != std::string::npos || arm.front() == '.' || arm == "tuning")
    throw UsageError("an arm cannot be called '" + arm + "', because a folder of its runs gets this name");
}

/// Returns labels and configurations of the arms, in the given order.
std::vector<std::pair<std::string, Config>> arms_of(const Config& config) {
  std::vector<std::pair<std::string, Config>> arms;
  for (const std::string& name : config.compare.arms) {
    Config arm = with_arm(config, name);
    check_folder_name(arm.arm);
    const std::string label = arm.arm;
    arms.emplace_back(label, std::move(arm));
  }
  return arms;
}

class Comparison {
 public:
  Comparison(const Config& config, const data::Splits& splits, fs::path folder, const Overview& overview)
      : config_(config), splits_(splits), folder_(std::move(folder)), overview_(overview), arms_(arms_of(config)) {
    for (const auto& [label, arm] : arms_) given_[label] = arm.optimizer.learning_rate;
  }

  Outcome run(bool resume) {
    if (resume)
      reopen();
    else
      create();
    log_ = std::make_shared<spdlog::logger>(
        "compare", std::make_shared<spdlog::sinks::basic_file_sink_mt>((folder_ / "log.txt").string()));
    log_->set_pattern("%Y-%m-%dT%H:%M:%SZ %v", spdlog::pattern_time_type::utc);
    log_->flush_on(spdlog::level::info);
    log_->info("{} {} arms x {} seeds", resume ? "resuming" : "beginning", arms_.size(), config_.compare.seeds);
    try {
      return carry_out();
    } catch (const std::exception& error) {
      end(record::State::failed, error.what());
      throw;
    }
  }

 private:
  void create() {
    // Invalid configurations throw here, before anything is written.
    for (const auto& [label, arm] : arms_) check_possible(arm, splits_);
    if (config_.compare.tune) check_tuning(splits_);
    std::error_code error;
    if (fs::exists(folder_ / "compare.json", error) || record::is_run(folder_))
      throw DataError(folder_.string() + " already contains a comparison or a run: choose another folder or resume it");
    write_file(folder_ / "config.toml", to_toml(config_));
    write_file(folder_ / "env.json", environment(config_).dump(2) + "\n");
    save();
  }

  void reopen() {
    const fs::path path = folder_ / "compare.json";
    if (!fs::exists(path))
      throw DataError(folder_.string() + " contains no comparison to resume: compare.json is missing");
    Config before;
    read_toml(before, (folder_ / "config.toml").string());
    if (lasting(before) != lasting(config_))
      throw UsageError(folder_.string() + " was started with another configuration (see its config.toml)");
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

  Outcome carry_out() {
    status(record::State::running, "");
    if (config_.compare.tune && tuning_.is_null()) {
      const auto tuning = tune(config_, {arms_.begin(), arms_.end()}, splits_, folder_ / "tuning", workers(), watch());
      if (!tuning) return interrupted();
      tuning_ = tuning->record;
      for (auto& [label, arm] : arms_) {
        arm.optimizer.learning_rate = tuning->chosen.at(label);
        log_->info("{}: learning rate {}", label, shortest(arm.optimizer.learning_rate));
      }
      save();
    }

    Outcome outcome;
    bool any_finished = false;
    for (const record::Status& status : run_all(jobs(), splits_, workers(), "comparing", watch())) {
      if (status.state == record::State::running || status.state == record::State::interrupted) return interrupted();
      if (status.state == record::State::diverged) outcome.state = record::State::diverged;
      any_finished |= status.state == record::State::finished;
    }
    if (!any_finished) {
      end(outcome.state, "every run diverged, so there is no report");
      return outcome;
    }

    outcome.summary =
        report::summarize(report::read({folder_}), {.baseline = "", .target = config_.compare.target, .title = ""});
    outcome.report = report::write(*outcome.summary, folder_);
    end(outcome.state, outcome.state == record::State::diverged ? "at least one run diverged" : "");
    return outcome;
  }

  /// Seed by seed, so that the finished runs are always paired. With several tasks, an arm runs at its chosen rate and
  /// at the given one. The first includes the effect of the rate; the second shows the rule alone.
  std::vector<Job> jobs() const {
    std::vector<Job> jobs;
    for (const std::uint64_t seed : seeds())
      for (const auto& [label, arm] : arms_) {
        const double chosen = arm.optimizer.learning_rate;
        for (const double rate : has_tasks(config_) ? std::set<double>{given_.at(label), chosen} : std::set{chosen}) {
          Job job{fmt::format("{}, seed {}", label, seed), arm, folder_ / "arms" / label};
          if (has_tasks(config_)) {
            job.name = fmt::format("{} at {}, seed {}", label, shortest(rate), seed);
            job.folder /= "rate-" + shortest(rate);
          }
          job.folder /= fmt::format("seed-{}", seed);
          job.config.training.seed = seed;
          job.config.optimizer.learning_rate = rate;
          jobs.push_back(std::move(job));
        }
      }
    return jobs;
  }

  Outcome interrupted() {
    Outcome outcome;
    outcome.state = record::State::interrupted;
    end(outcome.state, "stopped by a signal; it can be resumed");
    return outcome;
  }

  std::vector<std::uint64_t> seeds() const {
    std::vector<std::uint64_t> seeds;
    for (std::int64_t k = 0; k < config_.compare.seeds; ++k)
      seeds.push_back(config_.training.seed + static_cast<std::uint64_t>(k));
    return seeds;
  }

  std::int64_t workers() const {
    if (config_.jobs > 0) return config_.jobs;
    const auto cores = static_cast<std::int64_t>(std::thread::hardware_concurrency());
    return std::max<std::int64_t>(1, cores / config_.threads);
  }

  /// Logs runs that have ended, and calls the given callback.
  Overview watch() {
    return [this, logged = std::string()](const Stage& stage) mutable {
      if (stage.last != logged) log_->info("{}: {}", stage.what, logged = stage.last);
      if (overview_) overview_(stage);
    };
  }

  void save() const {
    record::Json labels = record::Json::array(), rates = record::Json::object();
    for (const auto& [label, arm] : arms_) {
      labels.push_back(label);
      rates[label] = arm.optimizer.learning_rate;
    }
    const record::Json content = {
        {"arms", labels}, {"seeds", seeds()}, {"learning_rates", rates}, {"given_rates", given_}, {"tuning", tuning_}};
    write_file(folder_ / "compare.json", content.dump(2) + "\n");
  }

  void status(record::State state, const std::string& message) const {
    const record::Json content = {{"state", record::to_string(state)}, {"message", message}};
    write_file(folder_ / "status.json", content.dump(2) + "\n");
  }

  /// Does not hide the original error: if the disk is full, the status cannot be written either.
  void end(record::State state, const std::string& message) const {
    log_->info("{}{}{}", record::to_string(state), message.empty() ? "" : ": ", message);
    try {
      status(state, message);
    } catch (const DataError&) {
      if (state != record::State::failed) throw;
    }
  }

  const Config& config_;
  const data::Splits& splits_;
  const fs::path folder_;
  const Overview& overview_;
  std::vector<std::pair<std::string, Config>> arms_;
  std::map<std::string, double> given_;  ///< learning rates before tuning
  record::Json tuning_;
  std::shared_ptr<spdlog::logger> log_;
};

}  // namespace

std::string lasting(Config config) {
  const Config defaults;
  for (const Key& key : keys())
    if (key.scope.resume) key.set(config, key.get(defaults));
  return to_toml(config);
}

Outcome compare(const Config& config, const data::Splits& splits, const fs::path& folder, bool resume,
                const Overview& overview) {
  check(config);
  return Comparison(config, splits, folder, overview).run(resume);
}

}  // namespace grapes::experiment
