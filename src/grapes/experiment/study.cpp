#include "grapes/experiment/study.h"

#include "grapes/base/file.h"
#include "grapes/base/interrupt.h"
#include "grapes/experiment/claim.h"
#include "grapes/experiment/comparison.h"
#include "grapes/experiment/key.h"
#include "grapes/experiment/toml.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>

#include <algorithm>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <utility>

namespace grapes::experiment {
namespace fs = std::filesystem;
namespace {

std::shared_ptr<spdlog::logger> open_log(const fs::path& study, const Shard& shard) {
  // Lines of several hosts would overwrite each other on NFS.
  const fs::path file = shard.kind == Shard::Kind::all ? study / "log.txt" : study / "logs" / (process_name() + ".txt");
  auto log =
      std::make_shared<spdlog::logger>("compare", std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string()));
  log->set_pattern("%Y-%m-%dT%H:%M:%SZ %v", spdlog::pattern_time_type::utc);
  log->flush_on(spdlog::level::info);
  log->set_error_handler([](const std::string&) {});  // a full disk is an error when the next record is written
  return log;
}

std::int64_t threads_of(const Config& config) {
  if (config.jobs > 0) return config.jobs;
  const auto cores = static_cast<std::int64_t>(std::thread::hardware_concurrency());
  return std::max<std::int64_t>(1, cores / config.threads);
}

/// Checks that no run failed in another process. @throws RunError
void check_none_failed(const std::vector<Job>& jobs, const std::vector<record::Status>& statuses) {
  const auto failed = [](const record::Status& status) { return status.state == record::State::failed; };
  const auto first = std::ranges::find_if(statuses, failed);
  if (first == statuses.end()) return;
  throw RunError(fmt::format("{} of {} runs failed; the first is {}: {}. Repeat the command to try them again",
                             std::ranges::count_if(statuses, failed), statuses.size(),
                             jobs[static_cast<std::size_t>(first - statuses.begin())].folder.string(), first->message));
}

}  // namespace

std::pair<std::vector<Job>, std::vector<std::size_t>> jobs_of(std::vector<Comparison>& all) {
  std::vector<Job> jobs;
  std::vector<std::size_t> counts;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t first = jobs.size(), first_number = jobs.empty() ? 0 : jobs.back().number + 1;
    for (Job& job : all[i].jobs()) {
      for (std::size_t& before : job.after) before += first;
      job.number += first_number;
      if (all.size() > 1)
        job.what =
            fmt::format("at {} ({} of {}), {}", all[i].folder().filename().string(), i + 1, all.size(), job.what);
      jobs.push_back(std::move(job));
    }
    counts.push_back(jobs.size() - first);
  }
  return {std::move(jobs), std::move(counts)};
}

std::string lasting(Config config) {
  const Config defaults;
  for (const Key& key : keys())
    if (key.scope.resume) key.set(config, key.get(defaults));
  return to_toml(config);
}

void check_same(const Config& config, const fs::path& folder) {
  Config before;
  read_toml(before, (folder / "config.toml").string());
  if (lasting(before) == lasting(config)) return;
  for (const Key& key : keys())
    if (const std::string was = key.get(before), is = key.get(config); was != is && !key.scope.resume)
      throw UsageError(fmt::format("{} was started with another configuration: {} was '{}' there and is '{}' here",
                                   folder.string(), key.name, was, is));
  throw UsageError(folder.string() + " was started with another configuration: its [arm.NAME] tables differ");
}

std::vector<Outcome> carry_out(std::vector<Comparison>& all, const data::Splits& splits, const fs::path& study,
                               Begin how, const Overview& overview, Shard shard) {
  using Kind = Shard::Kind;
  if (shard.kind == Kind::all && has_workers(study)) shard.kind = Kind::claimed;
  if (shard.kind == Kind::part && has_workers(study))
    throw UsageError(study.string() +
                     " was begun with --shard auto: resume it with --shard auto, or choose another folder");
  for (Comparison& one : all) one.begin(how);
  std::optional<Worker> worker;
  if (shard.kind == Kind::claimed) worker.emplace(study, shard.heartbeat);

  const auto log = open_log(study, shard);
  const auto end = [&](record::State state, const std::string& message) {
    log->info("{}{}{}", record::to_string(state), message.empty() ? "" : ": ", message);
    if (shard.kind != Kind::all) return;  // other processes may still be working
    for (const Comparison& one : all) one.status(state, message);
  };
  const Overview watch = [&, logged = std::map<std::string, std::string>()](const Stage& stage) mutable {
    if (std::string& last = logged[stage.what]; stage.last != last) log->info("{}: {}", stage.what, last = stage.last);
    if (overview) overview(stage);
  };
  log->info("{}: {} comparisons", how == Begin::create ? "beginning" : "resuming", all.size());
  try {
    for (const Comparison& one : all)
      if (shard.kind == Kind::all || !one.concluded()) one.status(record::State::running, "");
    auto [jobs, counts] = jobs_of(all);
    const auto statuses =
        run_all(jobs, splits, threads_of(all.front().config()), shard, worker ? &*worker : nullptr, watch);
    check_none_failed(jobs, statuses);
    const auto with = [&](record::State state) {
      return static_cast<std::size_t>(std::ranges::count(statuses, state, &record::Status::state));
    };
    Outcome outcome;
    outcome.runs = jobs.size();
    outcome.done = jobs.size() - with(record::State::running) - with(record::State::interrupted);
    if (interrupt::pending() != 0 && outcome.done < outcome.runs) {
      outcome.state = record::State::interrupted;
      end(outcome.state, "stopped by a signal; it can be resumed");
      return {outcome};
    }
    if (outcome.done < outcome.runs) {
      outcome.state = record::State::running;
      log->info("{} of {} runs have ended; the others belong to other processes", outcome.done, outcome.runs);
      return {outcome};
    }
    std::vector<Outcome> outcomes;
    std::size_t first = 0;
    for (std::size_t i = 0; i < all.size(); first += counts[i], ++i) {
      outcomes.push_back(all[i].conclude(std::span(statuses).subspan(first, counts[i])));
      outcomes.back().done = outcomes.back().runs = counts[i];
      log->info("{}: {}", all[i].folder().string(), record::to_string(outcomes.back().state));
    }
    if (worker) {
      std::set<fs::path> folders;
      for (const Job& job : jobs) folders.insert(job.folder.parent_path());
      for (const fs::path& folder : folders) remove_old_claims(folder);
      worker->complete();
    }
    return outcomes;
  } catch (const std::exception& error) {
    try {
      end(record::State::failed, error.what());
    } catch (const DataError&) {
      // If the disk is full, the status cannot be written either. The first error is the one to report.
    }
    throw;
  }
}

Outcome compare(const Config& config, const data::Splits& splits, const fs::path& folder, Begin how,
                const Overview& overview, const Shard& shard) {
  check(config);
  std::vector<Comparison> one;
  one.emplace_back(config, folder);
  one.front().check(splits);
  return std::move(carry_out(one, splits, folder, how, overview, shard).front());
}

}  // namespace grapes::experiment
