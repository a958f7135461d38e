#pragma once

#include "grapes/experiment/study.h"
#include "grapes/experiment/tune.h"

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace grapes::experiment {

/// The runs and the files of one comparison. A study has one, or with a sweep one for each value.
class Comparison final {
 public:
  /// @throws UsageError for invalid arms
  Comparison(Config config, std::filesystem::path folder);

  /// @throws Error if the data cannot support the arms or the tuning
  void check(const data::Splits& splits) const;
  /// Writes config.toml, env.json and compare.json to the folder, or reads them if the record is resumed.
  /// @throws DataError, UsageError as compare()
  void begin(Begin how);
  /// Takes learning rates that were chosen before from compare.json, if there are any. @throws DataError
  void load();

  /// Returns the runs: of each arm those that choose its learning rate, and the others, which wait for this choice and
  /// not for other arms. Seed by seed, so that the finished runs are always paired. With several tasks, an arm runs at
  /// its chosen rate and at the given one. The first includes the effect of the rate; the second shows the rule alone.
  /// The jobs refer to this object.
  std::vector<Job> jobs();

  /// Writes the report, and the status. @param statuses  of jobs(), which have all ended
  Outcome conclude(std::span<const record::Status> statuses);
  /// Writes status.json.
  void status(record::State state, const std::string& message) const;
  /// Returns whether status.json says that all runs have ended.
  bool concluded() const;

  const std::filesystem::path& folder() const { return folder_; }
  const Config& config() const { return config_; }
  std::size_t arms() const { return arms_.size(); }

 private:
  Job job(const std::string& label, std::uint64_t seed, double rate) const;
  /// Chooses the learning rate of an arm whose trials have ended.
  void settle(const std::string& label);
  std::vector<std::uint64_t> seeds() const;
  std::string content() const;
  bool tunes() const { return config_.compare.tune && tuning_.is_null(); }

  Config config_;
  std::filesystem::path folder_;
  std::vector<std::pair<std::string, Config>> arms_;  ///< labels and configurations, in the given order
  std::map<std::string, std::size_t> index_;          ///< of a label in `arms_`
  std::map<std::string, double> given_;               ///< learning rates before tuning
  std::vector<Job> trials_;
  std::map<std::string, record::Json> choices_;  ///< of the arms whose tuning is done
  bool begun_ = false;                           ///< whether this process writes to the folder
  record::Json tuning_;                          ///< when all arms are tuned, see tuning_record(); else null
};

/// Returns the runs of several comparisons, one comparison after the other, and how many each has.
std::pair<std::vector<Job>, std::vector<std::size_t>> jobs_of(std::vector<Comparison>& all);

}  // namespace grapes::experiment
