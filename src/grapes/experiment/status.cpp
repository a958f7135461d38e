#include "grapes/experiment/status.h"

#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/experiment/claim.h"
#include "grapes/experiment/sweep.h"
#include "grapes/experiment/toml.h"
#include "grapes/record/record.h"

#include <algorithm>
#include <map>
#include <set>

namespace grapes::experiment {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t lines_shown = 3;    // of the log of a run that failed
constexpr std::size_t rows_averaged = 3;  // the speed of a run without a worker is that of its last epochs

std::vector<std::string> last_lines(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return {};
  std::vector<std::string> lines = split(trim(read_file(file)), '\n');
  if (lines.size() > lines_shown) lines.erase(lines.begin(), lines.end() - lines_shown);
  return lines;
}

/// Returns the speed of a run from its last epochs; 0 if it has none.
double speed_of(const record::Run& run) {
  double seconds = 0;
  std::size_t epochs = 0;
  for (auto row = run.epochs.rbegin(); row != run.epochs.rend() && epochs < rows_averaged; ++row)
    if (row->at("epoch") > 0) seconds += row->value("seconds", 0.0) + row->value("evaluation_seconds", 0.0), ++epochs;
  return seconds > 0 ? static_cast<double>(epochs) / seconds : 0;
}

/// Adds a run that no worker has claimed.
void add(StudyStatus& all, const fs::path& folder, const std::string& run, double epochs) {
  using record::State;
  if (!record::is_run(folder)) {
    ++all.waiting;
    return;
  }
  const record::Status status = record::load_status(folder);
  switch (status.state) {
    case State::finished:
      ++all.finished;
      return;
    case State::diverged:
      ++all.diverged;
      return;
    case State::interrupted:
      ++all.interrupted;
      return;
    case State::failed:
      all.failed.push_back({run, status.message, status.epoch, last_lines(folder / "log.txt")});
      return;
    case State::running:
      all.running.push_back({run, "", static_cast<double>(status.epoch), epochs, speed_of(record::load(folder))});
  }
}

}  // namespace

std::optional<double> StudyStatus::Running::seconds_left() const {
  return epochs_per_second > 0 ? std::optional((epochs - epochs_done) / epochs_per_second) : std::nullopt;
}

StudyStatus StudyObserver::look() {
  std::error_code error;
  if (!fs::exists(folder_ / "config.toml", error))
    throw DataError(folder_.string() + " has no record of a run or a comparison: config.toml is missing");
  Config config;
  read_toml(config, (folder_ / "config.toml").string());
  StudyStatus all;
  double epochs_left = 0, epochs_per_second = 0;
  if (record::is_run(folder_)) {
    all.runs = 1;
    epochs_left = static_cast<double>(epochs_of(config));
    add(all, folder_, ".", epochs_left);
  } else {
    std::map<std::string, std::pair<Activity, const Presence*>> at_work;
    const std::vector<Presence> workers = watch_.present();
    all.workers = workers.size();
    for (const Presence& worker : workers)
      for (const Activity& activity : worker.runs) at_work[activity.run] = {activity, &worker};

    std::vector<Comparison> comparisons_of_study = comparisons(config, folder_);
    for (Comparison& one : comparisons_of_study) one.load();
    std::vector<Job> jobs = jobs_of(comparisons_of_study).first;
    std::set<fs::path> known;
    std::vector<bool> over(jobs.size());
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      Job& job = jobs[i];
      const bool settled = std::ranges::all_of(job.after, [&](std::size_t before) { return over[before]; });
      if (settled && job.settle) job.settle(job);
      const double epochs = static_cast<double>(epochs_of(job.config));
      // An extension of a grid that is not needed, or the same run as at the given rate.
      if (settled && (!job.needed || !known.insert(job.folder).second)) {
        over[i] = true;
        continue;
      }
      ++all.runs;
      const std::string run = job.folder.lexically_relative(folder_).generic_string();
      const std::size_t before = all.finished + all.diverged;
      if (const auto found = at_work.find(run); settled && found != at_work.end() && !ended(job.folder)) {
        const auto& [activity, worker] = found->second;
        const double done = activity.epochs_done - std::max(activity.begun, 0.0);
        all.running.push_back({run, worker->host + " " + std::to_string(worker->pid), activity.epochs_done, epochs,
                               activity.seconds > 0 ? done / activity.seconds : 0, watch_.silent(worker->id)});
      } else if (settled) {
        add(all, job.folder, run, epochs);
      } else {
        ++all.waiting;
      }
      over[i] = all.finished + all.diverged > before;
      if (!over[i]) epochs_left += epochs;
    }
  }
  for (const StudyStatus::Running& run : all.running) {
    epochs_left -= run.epochs_done;
    epochs_per_second += run.silent ? 0 : run.epochs_per_second;
  }
  if (epochs_per_second > 0) all.seconds_left = epochs_left / epochs_per_second;
  return all;
}

}  // namespace grapes::experiment
