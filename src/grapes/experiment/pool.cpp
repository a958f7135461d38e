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

/// Thrown by the callback of a run to stop it because another run failed.
struct Abandoned : std::exception {
  const char* what() const noexcept override { return "stopped because another run of the comparison failed"; }
};

/// Thrown by the callback of a run to stop it because another process has claimed it.
struct Lost : std::exception {
  const char* what() const noexcept override { return "another process has claimed this run"; }
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
  Pool(std::vector<Job>& jobs, const data::Splits& splits, const Shard& shard, Worker* worker, const Overview& overview)
      : jobs_(jobs),
        splits_(splits),
        without_tests_(without_tests(splits)),
        shard_(shard),
        worker_(worker),
        overview_(overview),
        score_(train::score_name(splits.info.problem)),
        states_(jobs.size()) {
    for (const Job& job : jobs) {
      Stage& stage = stages_[job.what];
      stage.what = job.what;
      ++stage.runs;
      stage.epochs += static_cast<double>(epochs_of(job.config));
    }
  }

  std::vector<record::Status> run(std::int64_t threads) {
    for (std::size_t i = 0; i < jobs_.size(); ++i) find_ended(i);
    {
      std::vector<std::jthread> all;
      const std::size_t count = std::min(static_cast<std::size_t>(threads), jobs_.size());
      for (std::size_t i = 0; i < count; ++i) all.emplace_back([this] { work(); });
    }
    if (failure_) std::rethrow_exception(failure_);
    std::vector<record::Status> statuses;
    for (const State& state : states_) statuses.push_back(state.status);
    return statuses;
  }

 private:
  struct State {
    /// open: nobody is known to work on it; asked: a thread of this process finds out whether it can have it; here: a
    /// thread of this process carries it out; elsewhere: another process has it
    enum class Is { open, asked, here, elsewhere, ended } is = Is::open;
    bool settled = false;
    bool again = false;  ///< whether the run had failed before this process came, which tries it again
    record::Status status = {};
    double epochs = 0;  ///< that are done
    std::string score;  ///< so far, as text
    std::optional<Claim> claim;
  };
  using Is = State::Is;

  void work() {
    try {
      while (const auto index = next()) {
        take_threads(jobs_[*index].config);  // LibTorch has a number of threads per calling thread
        finish(*index, carry_out(*index));
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
    changed_.notify_all();
  }

  /// Keeps a job that has ended before any begins, or notes that it is tried again.
  void find_ended(std::size_t index) {
    if (!may_begin(index)) return;
    settle(index);
    if (!jobs_[index].needed) return leave_out(index);
    const auto status = ended(jobs_[index].folder);
    states_[index].again = status && status->state == record::State::failed;
    if (status && !states_[index].again) keep(index, *status);
  }

  void settle(std::size_t index) {
    const std::lock_guard lock(settling_);
    if (!std::exchange(states_[index].settled, true) && jobs_[index].settle) jobs_[index].settle(jobs_[index]);
  }

  /// Waits for a job that this process can carry out, and returns it; nothing if there will be none.
  std::optional<std::size_t> next() {
    std::unique_lock lock(mutex_);
    double pause = 0.05;  // between two looks at the runs of other processes
    while (!failure_ && interrupt::pending() == 0) {
      if (const auto index = first_open()) {
        states_[*index].is = Is::asked;
        lock.unlock();  // other threads do not wait for the disk
        const bool mine = ask(*index);
        lock.lock();
        if (mine) return index;
        continue;
      }
      const bool idle = !has(Is::here) && !has(Is::asked);
      // A process that claims nothing looks once when its own runs have ended: what they waited for may have ended too.
      if (has(Is::elsewhere) && (worker_ != nullptr ? Clock::now() >= next_look_ : idle && !looked_)) {
        for (State& state : states_)
          if (state.is == Is::elsewhere) state.is = Is::open;
        none_open_before_ = 0;
        looked_ = true;
        next_look_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(pause));
        pause = std::min(2 * pause, shard_.heartbeat);
        continue;
      }
      if (idle && (worker_ == nullptr || !has(Is::elsewhere))) return {};
      changed_.wait_for(lock, std::chrono::milliseconds(50));
    }
    return {};
  }

  bool has(Is is) const {
    return std::ranges::any_of(states_, [is](const State& state) { return state.is == is; });
  }

  bool may_begin(std::size_t index) const {
    return std::ranges::all_of(jobs_[index].after, [this](std::size_t before) {
      return states_[before].is == Is::ended && states_[before].status.state != record::State::failed;
    });
  }

  /// Returns the first open job that can begin.
  std::optional<std::size_t> first_open() {
    while (none_open_before_ < jobs_.size() && states_[none_open_before_].is != Is::open) ++none_open_before_;
    for (std::size_t i = none_open_before_; i < jobs_.size(); ++i)
      if (states_[i].is == Is::open && may_begin(i)) return i;
    return {};
  }

  /// Finds out whether this process can carry out a job: claims it, if there is a worker. @return whether it can
  bool ask(std::size_t index) {
    settle(index);
    const Job& job = jobs_[index];
    if (!job.needed) {
      const std::lock_guard lock(mutex_);
      leave_out(index);
      changed_.notify_all();
      return false;
    }
    if (worker_ == nullptr) {
      const auto status = ended(job.folder);
      const bool done = status && status->state != record::State::failed;
      return answer(index, {}, done ? status : std::nullopt, shard_.has(job));
    }
    auto taken = Claim::take(job.folder, *worker_, states_[index].again);
    if (const auto* const refused = std::get_if<Claim::Refused>(&taken))
      return answer(index, {}, refused->ended, false);
    return answer(index, std::get<Claim>(std::move(taken)), {}, true);
  }

  bool answer(std::size_t index, std::optional<Claim> claim, const std::optional<record::Status>& status, bool mine) {
    const std::lock_guard lock(mutex_);
    State& state = states_[index];
    state.claim = std::move(claim);
    state.is = mine ? Is::here : Is::elsewhere;
    looked_ = looked_ && !mine;
    if (status) keep(index, *status);
    changed_.notify_all();
    return state.is == Is::here;
  }

  /// Notes a job that has ended already, or in another process.
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

  /// Ends a job that is not needed.
  void leave_out(std::size_t index) {
    states_[index].is = Is::ended;
    states_[index].status.state = record::State::finished;
    Stage& stage = stages_[jobs_[index].what];
    --stage.runs;
    stage.epochs -= static_cast<double>(epochs_of(jobs_[index].config));
    tell(stage);
  }

  record::Status carry_out(std::size_t index) {
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
      fs::remove_all(plan.folder, error);  // its worker was gone before the record was complete
    }
    Activity activity{activity_name(job), 0, static_cast<double>(epochs_of(job.config)), 0, -1};
    const auto begin = Clock::now();
    const auto on_progress = [&](const train::ProgressEvent& event) {
      const double done = update(index, event);
      if (worker_ == nullptr) return;
      if (activity.begun < 0) activity.begun = done;
      activity.epochs_done = done;
      activity.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      worker_->tell(activity);
    };
    if (worker_ != nullptr) worker_->tell(activity);
    try {
      return experiment::run(job.config, job.tests ? splits_ : without_tests_, plan, on_progress);
    } catch (const Abandoned&) {
      throw;
    } catch (const Lost&) {
      return {};
    } catch (...) {
      if (is_lost_after_error(state)) return {};
      throw;
    }
  }

  /// Returns whether an error of a run is one only because another worker has taken the run and moved its record, while
  /// this process was stopped. If not, and the run failed, its record is moved to its place, so that other processes
  /// continue without this run.
  static bool is_lost_after_error(State& state) noexcept {
    try {
      if (!state.claim) return false;
      if (state.claim->lost(true)) return true;
      if (ended(state.claim->record())) state.claim->finish();
    } catch (const std::exception&) {
      // The error of the run is the one to report.
    }
    return false;
  }

  std::string activity_name(const Job& job) const {
    return worker_ == nullptr ? "" : job.folder.lexically_relative(worker_->study()).generic_string();
  }

  /// Notes the progress of a run. @return the number of epochs that are done
  double update(std::size_t index, const train::ProgressEvent& event) {
    State& state = states_[index];
    if (state.claim && state.claim->lost()) throw Lost();
    const std::lock_guard lock(mutex_);
    if (failure_) throw Abandoned();
    const double part = event.batches > 0 ? static_cast<double>(event.batch) / static_cast<double>(event.batches) : 1;
    Stage& stage = stages_[jobs_[index].what];
    const double before = state.epochs;
    state.epochs = static_cast<double>(event.epoch) - (event.finished != nullptr || event.epoch == 0 ? 0 : 1 - part);
    stage.epochs_done += state.epochs - before;
    if (event.finished != nullptr) state.score = score_text(*event.finished, score_);
    tell(stage);
    return state.epochs;
  }

  /// Ends a job of this process: it has ended, or it was stopped by a signal, or another process has it.
  void finish(std::size_t index, const record::Status& status) {
    const Job& job = jobs_[index];
    State& state = states_[index];
    bool over = status.state == record::State::finished || status.state == record::State::diverged;
    const bool lost = status.state == record::State::running;
    if (state.claim && (over || lost)) over = state.claim->finish() && over;
    if (worker_ != nullptr) worker_->end(activity_name(job));

    const std::lock_guard lock(mutex_);
    Stage& stage = stages_[job.what];
    stage.epochs_done -= std::exchange(state.epochs, 0.0);
    if (over) {
      stage.last =
          job.name + ": " + (status.state == record::State::finished ? state.score : record::to_string(status.state));
      keep(index, status);  // the remaining epochs of a diverged run count as done
    } else {
      state.is = Is::elsewhere;
      if (status.state == record::State::interrupted) state.status = status;
    }
    state.claim.reset();
    changed_.notify_all();
  }

  void tell(const Stage& stage) const {
    if (overview_) overview_(stage);
  }

  std::vector<Job>& jobs_;
  const data::Splits& splits_;
  const data::Splits without_tests_;
  const Shard& shard_;
  Worker* const worker_;
  const Overview& overview_;
  const std::string score_;  ///< "accuracy"

  std::mutex settling_;  ///< held while a job is settled, which reads records of other jobs
  std::mutex mutex_;     ///< protects the members below; the claim of a job belongs to the thread that has the job
  std::condition_variable changed_;
  std::size_t none_open_before_ = 0;  ///< no job before this one is open, so the search begins here
  std::vector<State> states_;
  std::map<std::string, Stage> stages_;
  Clock::time_point next_look_ = Clock::now();  ///< at the jobs of other processes
  bool looked_ = false;                         ///< at them, since a job of this process began
  std::exception_ptr failure_;
};

}  // namespace

Shard parse_shard(const std::string& text) {
  if (text.empty()) return {};
  if (text == "auto") return {.kind = Shard::Kind::claimed};
  const auto slash = text.find('/');
  const auto part = to_integer(text.substr(0, slash));
  const auto parts = slash == std::string::npos ? std::nullopt : to_integer(text.substr(slash + 1));
  if (!part || !parts || *part < 1 || *part > *parts)
    throw UsageError("--shard " + text + ": expected auto, or i/N with i from 1 to N, for example 3/8");
  return {.kind = Shard::Kind::part, .part = *part, .parts = *parts};
}

std::vector<record::Status> run_all(std::vector<Job>& jobs, const data::Splits& splits, std::int64_t threads,
                                    const Shard& shard, Worker* worker, const Overview& overview) {
  return Pool(jobs, splits, shard, worker, overview).run(threads);
}

}  // namespace grapes::experiment
