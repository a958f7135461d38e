#pragma once

#include "grapes/experiment/worker.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// What has happened so far in the folder of a run or a study, from its files alone.
namespace grapes::experiment {

struct StudyStatus {
  /// A run on which a process works.
  struct Running {
    std::string run;    ///< path in the study: "arms/bp/seed-3"
    std::string where;  ///< host and process; "" if the process does not say it, because it claims no runs
    double epochs_done = 0, epochs = 0;
    double epochs_per_second = 0;  ///< 0: not known yet
    bool silent = false;           ///< its worker has given no sign of life for long, see Watch
    std::optional<double> seconds_left() const;
  };
  struct Failed {
    std::string run, message;
    std::int64_t epoch = 0;
    std::vector<std::string> last_lines;  ///< of its log
  };

  std::size_t runs = 0, finished = 0, diverged = 0, interrupted = 0, waiting = 0;
  std::vector<Running> running;
  std::vector<Failed> failed;
  std::size_t workers = 0;             ///< processes that claim runs
  std::optional<double> seconds_left;  ///< until all runs have ended, at the present rate
  bool complete() const { return finished + diverged == runs; }
};

/// Looks at a folder once or again and again, and changes nothing in it. That a worker on another host is silent is
/// seen only after it was looked at for long enough.
class StudyObserver final {
 public:
  explicit StudyObserver(std::filesystem::path folder) : folder_(std::move(folder)), watch_(folder_) {}
  /// @throws DataError if the folder has no record
  StudyStatus look();

 private:
  std::filesystem::path folder_;
  Watch watch_;
};

}  // namespace grapes::experiment
