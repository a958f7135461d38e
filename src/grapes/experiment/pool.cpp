#include "grapes/experiment/pool.h"

#include "grapes/base/interrupt.h"
#include "grapes/base/text.h"
#include "grapes/experiment/claim.h"
#include "grapes/experiment/environment.h"
#include "grapes/train/metrics.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

namespace grapes::experiment {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

/// Ends a run because another one failed; thrown by its callback.
struct Abandoned : std::exception {
  const char* what() const noexcept override { return "stopped because another run of the comparison failed"; }
};

/// Ends a run because another process has taken it over; thrown by its callback.
struct Lost : std::exception {
  const char* what() const noexcept override { return "another process has taken this run over"; }
};

/// Returns the score of a row as text: on test data, else on validation data, else on training data.
std::string score_text(const record::Json& row, const std::string& score) {
  for (const char* part : {"test_", "validation_", "train_"})
    if (const auto found = row.find(part + score); found != row.end() && found->is_number())
      return fmt::format("{} {:.4f}", score, found->get<double>());
  return "no score";
}

data::Splits without_tests(data::Splits splits) {
  if (splits.test) splits.test = data::subset(splits.test, at::empty({0}, at::kLong));
  return splits;
}

class Pool {
 public:
  Pool(std::vector<Job>& jobs, const data::Splits& splits, const Share& share, Worker* worker, const Overview& overview)
      : jobs_(jobs),
        splits_(splits),
        blind_(without_tests(splits)),
        share_(share),
        worker_(worker),
        overview_(overview),
        score_(train::score_name(splits.info.problem)),
        states_(jobs.size()) {
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      Stage& stage = stages_[jobs[i].what];
      stage.what = jobs[i].what;
      ++stage.runs;
      stage.epochs += static_cast<double>(epochs_of(jobs[i].config));
    }
  }

  std::vector<record::Status> run(std::int64_t threads) {
    for (std::size_t i = 0; i < jobs_.size(); ++i) look(i);
    std::vector<std::thread> all;
    const std::size_t count = std::min(static_cast<std::size_t>(threads), jobs_.size());
    for (std::size_t i = 0; i < count; ++i) all.emplace_back([this] { work(); });
    for (std::thread& thread : all) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    std::vector<record::Status> statuses;
    for (const State& state : states_) statuses.push_back(state.status);
    return statuses;
  }

 private:
  struct State {
    enum class Is { open, here, elsewhere, ended } is = Is::open;
    bool settled = false;
    bool again = false;  ///< whether it had failed before this process came, and is tried again
    record::Status status = {};
    double epochs = 0;  ///< completed
    std::string score;  ///< so far, as text
    std::optional<Claim> claim;
  };
  using Is = State::Is;

  void work() {
    try {
      while (const auto index = next()) {
        take_threads(jobs_[*index].config);  // LibTorch has a number of threads per calling thread
        finish(*index, one(*index));
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
    changed_.notify_all();
  }

  /// Looks at a job before any begins.
  void look(std::size_t index) {
    if (!may_begin(index)) return;
    settle(index);
    const auto status = ended(jobs_[index].folder);
    states_[index].again = status && status->state == record::State::failed;
    if (status && !states_[index].again) keep(index, *status);
  }

  void settle(std::size_t index) {
    if (!std::exchange(states_[index].settled, true) && jobs_[index].settle) jobs_[index].settle(jobs_[index]);
  }

  /// Waits for a job that can begin, and returns it; nothing if there will be none.
  std::optional<std::size_t> next() {
    std::unique_lock lock(mutex_);
    double pause = 0.05;  // between two looks at the runs of other processes
    while (!failure_ && interrupt::pending() == 0) {
      if (const auto index = begin(Is::open)) return index;
      if (Clock::now() >= next_look_) {
        if (const auto index = begin(Is::elsewhere)) return index;
        next_look_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(pause));
        pause = std::min(2 * pause, share_.heartbeat);
        if (const auto index = begin(Is::open)) return index;  // another process has ended what it waited for
        const bool others_work = worker_ != nullptr && has(Is::elsewhere);
        if (!has(Is::here) && !others_work) return {};
      }
      changed_.wait_for(lock, std::chrono::milliseconds(50));
    }
    return {};
  }

  bool has(Is is) const {
    return std::ranges::any_of(states_, [is](const State& state) { return state.is == is; });
  }

  bool may_begin(std::size_t index) const {
    return std::ranges::all_of(jobs_[index].after,
                               [this](std::size_t before) { return states_[before].is == Is::ended; });
  }

  /// Begins the first job with this state that can begin.
  std::optional<std::size_t> begin(Is is) {
    while (first_ < jobs_.size() && states_[first_].is == Is::ended) ++first_;
    for (std::size_t i = first_; i < jobs_.size(); ++i)
      if (states_[i].is == is && may_begin(i) && begin(i)) return i;
    return {};
  }

  /// Begins a job here, unless it has ended or is another process's. @return whether it began
  bool begin(std::size_t index) {
    Job& job = jobs_[index];
    State& state = states_[index];
    settle(index);
    if (worker_ != nullptr) {
      auto answer = Claim::take(job.folder, *worker_, state.again);
      if (auto* const claim = std::get_if<Claim>(&answer)) {
        state.claim.emplace(std::move(*claim));
        state.is = Is::here;
      } else if (std::get<Claim::Refusal>(answer) == Claim::Refusal::ended) {
        keep(index, *ended(job.folder));
      } else {
        state.is = Is::elsewhere;
      }
    } else if (const auto status = ended(job.folder); status && status->state != record::State::failed) {
      keep(index, *status);
    } else {
      state.is = share_.has(job) ? Is::here : Is::elsewhere;
    }
    return state.is == Is::here;
  }

  /// Notes a job that has ended already, or elsewhere.
  void keep(std::size_t index, const record::Status& status) {
    State& state = states_[index];
    state.is = Is::ended;
    state.status = status;
    state.epochs = static_cast<double>(epochs_of(jobs_[index].config));
    Stage& stage = stages_[jobs_[index].what];
    ++stage.runs_done;
    stage.epochs_done += state.epochs;
    tell(stage);
  }

  record::Status one(std::size_t index) {
    const Job& job = jobs_[index];
    State& state = states_[index];
    RunPlan plan;
    plan.folder = state.claim ? state.claim->record() : job.folder;
    plan.checkpoints = job.checkpoints;
    if (const auto status = ended(plan.folder); state.claim && status && status->state != record::State::failed)
      return *status;  // its worker came to the end, but was gone before it could say so
    std::error_code error;
    if (record::is_run(plan.folder)) {
      plan.resume = fs::exists(plan.folder / "checkpoints" / "last.safetensors", error);
      if (!plan.resume) fs::remove_all(plan.folder, error);  // started, but without a checkpoint
    } else if (state.claim) {
      fs::remove_all(plan.folder, error);  // what a worker that was gone has written too late
    }
    Activity activity{activity_name(job), 0, static_cast<double>(epochs_of(job.config)), 0, -1};
    const auto begin = Clock::now();
    const auto watched = [&](const train::ProgressEvent& event) {
      const double done = watch(index, event);
      if (worker_ == nullptr) return;
      if (activity.begun < 0) activity.begun = done;
      activity.epochs_done = done;
      activity.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      worker_->tell(activity);
    };
    if (worker_ != nullptr) worker_->tell(activity);
    try {
      return experiment::run(job.config, job.tests ? splits_ : blind_, plan, watched);
    } catch (const Abandoned&) {
      throw;
    } catch (const Lost&) {
      state.claim->finish();  // removes what was written after the loss
      return {};
    } catch (...) {
      // After this process was stopped for a while, another worker has moved the record away, so writing to it fails.
      if (state.claim && state.claim->lost(true)) {
        state.claim->finish();
        return {};
      }
      // Other processes continue without a run that failed. Its record is moved to its place, so they do not try it.
      if (state.claim && ended(plan.folder)) state.claim->finish();
      throw;
    }
  }

  std::string activity_name(const Job& job) const {
    return worker_ == nullptr ? "" : job.folder.lexically_relative(worker_->study()).generic_string();
  }

  /// @return the number of completed epochs
  double watch(std::size_t index, const train::ProgressEvent& event) {
    const std::lock_guard lock(mutex_);
    if (failure_) throw Abandoned();
    State& state = states_[index];
    if (state.claim && state.claim->lost()) throw Lost();
    const double part = event.batches > 0 ? static_cast<double>(event.batch) / static_cast<double>(event.batches) : 1;
    Stage& stage = stages_[jobs_[index].what];
    const double before = state.epochs;
    state.epochs = static_cast<double>(event.epoch) - (event.finished != nullptr || event.epoch == 0 ? 0 : 1 - part);
    stage.epochs_done += state.epochs - before;
    if (event.finished != nullptr) state.score = score_text(*event.finished, score_);
    tell(stage);
    return state.epochs;
  }

  void finish(std::size_t index, const record::Status& status) {
    const std::lock_guard lock(mutex_);
    const Job& job = jobs_[index];
    State& state = states_[index];
    Stage& stage = stages_[job.what];
    if (worker_ != nullptr) worker_->end(activity_name(job));
    const bool over = status.state == record::State::finished || status.state == record::State::diverged;
    if (!over || (state.claim && !state.claim->finish())) {
      state.is = Is::elsewhere;  // stopped by a signal, or another process's
      stage.epochs_done -= std::exchange(state.epochs, 0.0);
      if (status.state == record::State::interrupted) state.status = status;
    } else {
      stage.last =
          job.name + ": " + (status.state == record::State::finished ? state.score : record::to_string(status.state));
      stage.epochs_done -= std::exchange(state.epochs, 0.0);
      keep(index, status);  // the remaining epochs of a diverged run count as done
    }
    state.claim.reset();
    changed_.notify_all();
  }

  void tell(const Stage& stage) const {
    if (overview_) overview_(stage);
  }

  std::vector<Job>& jobs_;
  const data::Splits& splits_;
  const data::Splits blind_;  ///< without test examples
  const Share& share_;
  Worker* const worker_;
  const Overview& overview_;
  const std::string score_;  ///< "accuracy"

  std::mutex mutex_;  ///< protects the members below
  std::condition_variable changed_;
  std::size_t first_ = 0;  ///< all jobs before this one have ended
  std::vector<State> states_;
  std::map<std::string, Stage> stages_;
  Clock::time_point next_look_ = Clock::now();
  std::exception_ptr failure_;
};

}  // namespace

Share parse_share(const std::string& text) {
  if (text.empty()) return {};
  if (text == "auto") return {.by = Share::By::claims};
  const auto slash = text.find('/');
  const auto part = to_integer(text.substr(0, slash));
  const auto parts = slash == std::string::npos ? std::nullopt : to_integer(text.substr(slash + 1));
  if (!part || !parts || *part < 1 || *part > *parts)
    throw UsageError("--shard " + text + ": expected auto, or i/N with i from 1 to N, for example 3/8");
  return {.by = Share::By::parts, .part = *part, .parts = *parts};
}

std::vector<record::Status> run_all(std::vector<Job>& jobs, const data::Splits& splits, std::int64_t threads,
                                    const Share& share, Worker* worker, const Overview& overview) {
  return Pool(jobs, splits, share, worker, overview).run(threads);
}

}  // namespace grapes::experiment
