#pragma once

#include "grapes/base/error.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <vector>

/// A run is one folder, and the folder is its record. It is written as the run goes, never changed after, and read by
/// everything that comes later: statistics, plots, reports. No LibTorch here.
///
///     config.toml     the resolved configuration, as text that `grapes run` accepts
///     run.json        what the run is: see Identity
///     env.json        versions, git hash, CPU, threads
///     metrics.jsonl   one object per epoch, see below; metrics.csv the same as a table, made at the end
///     events.out.tfevents.grapes  the numbers of metrics.jsonl for TensorBoard, see events.h
///     log.txt
///     checkpoints/    last.safetensors, best.safetensors
///     status.json     see Status; replaced atomically
///     scenario.json   of a run with several tasks: what the tasks are, see continual/scenario.h
///     samples.json    of a spiking network: {"part", "examples": [{"example", "steps", "label", "prediction"
///     (classes),
///                     "layers": [{"name", "nodes", "shown" of them, "spikes": [[step, node], ...]}, ...],
///                     "membranes": {"layer", "traces": [[value per step], ...]},
///                     "roll": {"steps", "target": [[step, note], ...], "prediction": [[step, note, p], ...]}
///                     (music)}]}
///
/// An epoch object: {"epoch": 0 (before training), 1, ..., "step", "learning_rate",
///   "train_loss", "train_<score>", "validation_loss", "validation_<score>", "test_loss", "test_<score>"  (absent where
///   a part is empty), "seconds" (training), "evaluation_seconds", "layers": [{"name", "weight_norm", "gradient_norm",
///   "factor": {"mean", "sd", "min", "max", "histogram": [20 counts over (0, 2] in steps of 0.1]},
///   "activity": {"rate", "silent", "saturated"}}, ...]}     factor absent where a layer is not modulated, activity
///   where it does not spike or was not evaluated; norms are Euclidean.
///
/// Of a run that learns several tasks, one after the other, "epoch" counts the tasks that are done, and an object has
/// besides, in the first one: {"scenario", "method", "optimizer_state", "epochs" (of each task)}; in all:
/// {"test_tasks": [accuracy on every task], "test_accuracy": the mean of the first so many, before training of all};
/// from the second on "validation_tasks" and "validation_accuracy" likewise, and {"curve": [{"step", "part" (of the
/// task that is done), "test": [accuracy on every task so far, on the first examples]}, ...], "evaluations": [{"epoch"
/// (of the task), "step", "test_tasks", "test_accuracy", ... as in the object itself}, ...] (within the task),
/// "forgetting": see continual/forgetting.h}. There are no losses but "train_loss", of the task's last epoch.
namespace grapes::record {

using Json = nlohmann::json;

/// What a run is, so that runs made at different times can be told apart and paired.
struct Identity {
  std::string arm;  ///< the label under which runs are grouped: "bp", "grapes", ...
  std::uint64_t seed = 0;
  std::string data;                ///< name of the data set
  std::string model;               ///< "mlp:256,256"
  std::string score = "accuracy";  ///< or "r2", "log_likelihood": which <score> the metrics hold, higher is better
  std::string pairing;             ///< hash of everything but the arm: runs with equal pairing and seed began alike
};

enum class State { running, finished, interrupted, diverged, failed };
std::string to_string(State state);

struct Status {
  State state = State::running;
  std::int64_t epoch = 0;    ///< epochs completed
  std::int64_t step = 0;     ///< updates made
  std::string message;       ///< one sentence when it did not finish
  std::int64_t counts = -1;  ///< the epoch whose numbers are the run's result, if it was stopped early; -1: the last
};

/// One run as it lies on the disk.
struct Run {
  std::filesystem::path folder;
  Identity identity;
  std::string config;  ///< the TOML text
  Json env;
  std::vector<Json> epochs;  ///< metrics.jsonl
  Status status;
  Json samples = nullptr;
};

/// The row whose numbers are the run's result: the last, or where it was stopped early the best on validation.
/// There must be rows.
const Json& result_row(const Run& run);

/// Writes a run's folder while it happens.
class Writer final {
 public:
  /// Begin a new record. @throws DataError if the folder holds a run already or cannot be written
  static Writer create(const std::filesystem::path& folder, const Identity& identity, const std::string& config,
                       const Json& env);
  /// Resume one: metrics after `epoch` are cut off, for the checkpoint is where it resumes.
  static Writer resume(const std::filesystem::path& folder, std::int64_t epoch);

  void epoch(const Json& row);        ///< appended and flushed
  void status(const Status& status);  ///< replaced atomically
  void samples(const Json& samples);  ///< samples.json
  void finish(const Status& status);  ///< also writes metrics.csv
  void log(const std::string& line);  ///< with the time (UTC)
  const std::filesystem::path& folder() const { return folder_; }

 private:
  explicit Writer(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path folder_;
};

bool is_run(const std::filesystem::path& folder);
/// @throws DataError that names the file and line that cannot be understood
Run load(const std::filesystem::path& folder);
/// All runs in these folders, each a run or a folder of runs at any depth (a comparison). `tuning` folders are passed
/// over.
std::vector<Run> load_all(const std::vector<std::filesystem::path>& folders);

}  // namespace grapes::record
