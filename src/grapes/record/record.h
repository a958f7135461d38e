#pragma once

#include "grapes/base/error.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <vector>

/// A run is a folder with the files below. They are written during the run and not changed afterward. Statistics, plots
/// and reports read them. This module does not depend on LibTorch.
///
///     config.toml     the resolved configuration, as text that `grapes run` accepts
///     run.json        identity of the run, see Identity
///     env.json        versions, git hash, CPU, threads
///     metrics.jsonl   one object per epoch, see below; metrics.csv has the same as a table, written at the end
///     events.out.tfevents.grapes  the numbers of metrics.jsonl for TensorBoard, see events.h
///     log.txt
///     checkpoints/    last.safetensors, best.safetensors
///     status.json     see Status; replaced atomically
///     test-correct.npy  of a classifier with test examples: which of them it got right in the row that is its result,
///                     see bits.h; replaced atomically
///     scenario.json   of a run with several tasks: its tasks, see continual/scenario.h
///     samples.json    of a spiking network: {"part", "examples": [{"example", "steps", "label", "prediction"
///                     (classes),
///                     "layers": [{"name", "nodes", "shown" of them, "spikes": [[step, node], ...]}, ...],
///                     "membranes": {"layer", "traces": [[value per step], ...]},
///                     "roll": {"steps", "target": [[step, note], ...], "prediction": [[step, note, p], ...]}
///                     (music)}]}
///
/// An epoch object: {"epoch": 0 (before training), 1, ..., "step", "learning_rate",
///   "train_loss", "train_<score>", "validation_loss", "validation_<score>", "test_loss", "test_<score>",
///   "seconds" (training), "evaluation_seconds", "layers": [{"name", "weight_norm", "gradient_norm",
///   "factor": {"mean", "sd", "min", "max", "histogram": [20 counts over (0, 2] in steps of 0.1]},
///   "activity": {"rate", "silent", "saturated"},
///   "alignment": {"transport", "modulation", "feedback", "ratio"} (with record-alignment), see train/alignment.h,
///   "dose": {"angle", "size", "responsibility": {"mean", "sd", "cv"}} (with record-dose), see train/dose.h,
///   "update_norm" (with record-dose)}, ...]}
/// Measures of an empty part are absent. A layer that is not modulated has no "factor"; a layer that does not spike or
/// was not evaluated has no "activity". Norms are Euclidean.
///
/// In a run with several tasks, "epoch" is the number of completed tasks. The first object also has {"scenario",
/// "method", "optimizer_state", "epochs" (of each task)}. All objects have {"test_tasks": [accuracy on every task],
/// "test_accuracy": the mean over the completed tasks, or over all tasks before training}. From the second object on
/// there are "validation_tasks" and "validation_accuracy" likewise, and {"curve": [{"step", "part" (fraction of the
/// task), "test": [accuracy on every task so far, on the first examples]}, ...], "evaluations": [{"epoch" (of the
/// task), "step", "test_tasks", "test_accuracy", ... as in the object itself}, ...] (within the task), "forgetting":
/// see continual/forgetting.h}. The only loss is "train_loss", that of the task's last epoch.
namespace grapes::record {

using Json = nlohmann::json;

/// Identity of a run, by which runs are grouped and paired.
struct Identity {
  std::string arm;  ///< label by which runs are grouped: "bp", "grapes", ...
  std::uint64_t seed = 0;
  std::string data;                ///< name of the data set
  std::string model;               ///< "mlp:256,256"
  std::string score = "accuracy";  ///< or "r2", "log_likelihood": the <score> in the metrics; higher is better
  std::string
      pairing;  ///< hash of all settings except the arm's; runs with equal pairing and seed start from the same weights
};

enum class State { running, finished, interrupted, diverged, failed };
std::string to_string(State state);

struct Status {
  State state = State::running;
  std::int64_t epoch = 0;    ///< number of completed epochs
  std::int64_t step = 0;     ///< number of updates
  std::string message;       ///< one sentence if the run did not finish
  std::int64_t counts = -1;  ///< with early stopping, the epoch whose measures are the run's result; -1: the last
};

/// A run as stored on disk.
struct Run {
  std::filesystem::path folder;
  Identity identity;
  std::string config;  ///< the TOML text
  Json env;
  std::vector<Json> epochs;  ///< metrics.jsonl
  Status status;
  Json samples = nullptr;
  std::vector<bool> test_correct = {};  ///< of each test example; empty without test-correct.npy and before the end
};

/// Returns the row whose measures are the run's result: the last, or with early stopping the best on validation data.
/// The run must have rows.
const Json& result_row(const Run& run);

/// Writes a run's folder during the run.
class Writer final {
 public:
  /// Starts a new record. @throws DataError if the folder already contains a run or cannot be written
  static Writer create(const std::filesystem::path& folder, const Identity& identity, const std::string& config,
                       const Json& env);
  /// Resumes a record. Metrics after `epoch` are removed, because the run resumes from the checkpoint.
  static Writer resume(const std::filesystem::path& folder, std::int64_t epoch);

  /// Replaces the description of a run that is continued for more epochs.
  void describe(const Identity& identity, const std::string& config);
  void epoch(const Json& row);                        ///< appended and flushed
  void status(const Status& status);                  ///< replaced atomically
  void samples(const Json& samples);                  ///< samples.json
  void test_correct(const std::vector<bool>& flags);  ///< test-correct.npy
  void finish(const Status& status);                  ///< also writes metrics.csv
  void log(const std::string& line);                  ///< adds the time (UTC)
  const std::filesystem::path& folder() const { return folder_; }

 private:
  explicit Writer(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path folder_;
};

bool is_run(const std::filesystem::path& folder);
/// Loads a run. @throws DataError with the file and line that is invalid
Run load(const std::filesystem::path& folder);
/// Loads only the status of a run. @throws DataError
Status load_status(const std::filesystem::path& folder);
/// Loads only the score of a run's result, see result_row(). @param part  "train", "validation" or "test"
/// @throws DataError
double load_score(const std::filesystem::path& folder, const std::string& part);

/// A folder with this in its name has the claims of processes on a run that has not ended, see experiment/claim.h.
inline constexpr const char* claim_mark = ".claims";
/// Loads all runs in these folders. Each may be a run, or contain runs at any depth. Claims and folders named `tuning`
/// are skipped.
std::vector<Run> load_all(const std::vector<std::filesystem::path>& folders);
/// Returns whether load_all() would find a run in this folder.
bool has_runs(const std::filesystem::path& folder);

}  // namespace grapes::record
