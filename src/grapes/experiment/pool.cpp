#include "grapes/experiment/pool.h"

#include "grapes/base/interrupt.h"
#include "grapes/experiment/environment.h"
#include "grapes/train/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <numeric>
#include <optional>
#include <system_error>
#include <thread>

namespace grapes::experiment {
namespace fs = std::filesystem;
namespace {

/// Ends a run because another one failed; thrown by its callback.
struct Abandoned : std::exception {
  const char* what() const noexcept override { return "stopped because another run of the comparison failed"; }
};

/// Returns the score of a row as text: on test data, else on validation data, else on training data.
std::string score_text(const record::Json& row, const std::string& score) {
  for (const char* part : {"test_", "validation_", "train_"})
    if (const auto found = row.find(part + score); found != row.end() && found->is_number())
      return fmt::format("{} {:.4f}", score, found->get<double>());
  return "no score";
}

/// Returns the finished or diverged run in the folder, if there is one.
std::optional<record::Run> kept(const fs::path& folder) {
  if (!record::is_run(folder)) return {};
  record::Run run = record::load(folder);
  const bool ended = run.status.state == record::State::finished || run.status.state == record::State::diverged;
  return ended ? std::optional(std::move(run)) : std::nullopt;
}

class Pool {
 public:
  Pool(const std::vector<Job>& jobs, const data::Splits& splits, const std::string& what, const Overview& overview)
      : jobs_(jobs),
        splits_(splits),
        overview_(overview),
        score_(train::score_name(splits.info.problem)),
        statuses_(jobs.size()),
        epochs_(jobs.size()),
        scores_(jobs.size()) {
    stage_.what = what;
    stage_.runs = static_cast<std::int64_t>(jobs.size());
    for (const Job& job : jobs) stage_.epochs += static_cast<double>(epochs_of(job.config));
  }

  std::vector<record::Status> run(std::int64_t workers) {
    std::vector<std::thread> threads;
    const std::size_t count = std::min(static_cast<std::size_t>(workers), jobs_.size());
    for (std::size_t i = 0; i < count; ++i) threads.emplace_back([this] { work(); });
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    return statuses_;
  }

 private:
  void work() {
    try {
      while (const auto index = next()) {
        const Job& job = jobs_[*index];
        take_threads(job.config);  // LibTorch has a number of threads per calling thread
        finish(*index, one(*index));
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }

  std::optional<std::size_t> next() {
    const std::lock_guard lock(mutex_);
    if (failure_ || interrupt::pending() != 0 || next_ == jobs_.size()) return {};
    return next_++;
  }

  record::Status one(std::size_t index) {
    const Job& job = jobs_[index];
    if (const auto run = kept(job.folder)) {
      const std::lock_guard lock(mutex_);
      if (!run->epochs.empty()) scores_[index] = score_text(run->epochs.back(), score_);
      return run->status;
    }
    RunPlan plan;
    plan.folder = job.folder;
    plan.checkpoints = job.checkpoints;
    if (record::is_run(job.folder)) {
      std::error_code error;
      plan.resume = fs::exists(job.folder / "checkpoints" / "last.safetensors", error);
      if (!plan.resume) fs::remove_all(job.folder, error);  // started, but without a checkpoint
    }
    return experiment::run(job.config, splits_, plan, [&](const train::ProgressEvent& event) { watch(index, event); });
  }

  void watch(std::size_t index, const train::ProgressEvent& event) {
    const std::lock_guard lock(mutex_);
    if (failure_) throw Abandoned();
    const double part = event.batches > 0 ? static_cast<double>(event.batch) / static_cast<double>(event.batches) : 1;
    epochs_[index] = static_cast<double>(event.epoch) - (event.finished != nullptr || event.epoch == 0 ? 0 : 1 - part);
    if (event.finished != nullptr) scores_[index] = score_text(*event.finished, score_);
    tell();
  }

  void finish(std::size_t index, const record::Status& status) {
    const std::lock_guard lock(mutex_);
    const Job& job = jobs_[index];
    statuses_[index] = status;
    if (status.state == record::State::interrupted) return;
    ++stage_.runs_done;
    epochs_[index] =
        static_cast<double>(epochs_of(job.config));  // the remaining epochs of a diverged run count as done
    stage_.last =
        job.name + ": " + (status.state == record::State::finished ? scores_[index] : record::to_string(status.state));
    tell();
  }

  void tell() {
    stage_.epochs_done = std::accumulate(epochs_.begin(), epochs_.end(), 0.0);
    if (overview_) overview_(stage_);
  }

  const std::vector<Job>& jobs_;
  const data::Splits& splits_;
  const Overview& overview_;
  const std::string score_;  ///< "accuracy"

  std::mutex mutex_;  ///< protects the members below
  std::size_t next_ = 0;
  std::vector<record::Status> statuses_;
  std::vector<double> epochs_;       ///< completed, per job
  std::vector<std::string> scores_;  ///< so far, as text, per job
  Stage stage_;
  std::exception_ptr failure_;
};

}  // namespace

std::vector<record::Status> run_all(const std::vector<Job>& jobs, const data::Splits& splits, std::int64_t workers,
                                    const std::string& what, const Overview& overview) {
  return Pool(jobs, splits, what, overview).run(workers);
}

}  // namespace grapes::experiment
