#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace grapes::optim {

/// The learning rate over time, as a multiple of the base rate.
class Schedule {
 public:
  virtual ~Schedule() = default;
  /// @param epoch  number of epochs including the fraction of the current one: 2.5 is the middle of the third
  virtual double multiple(double epoch) const = 0;
  /// Called after every epoch, for reduce-on-plateau. `loss` is that of the validation data, or of the training data if
  /// there is none.
  virtual void observe(double loss) { (void)loss; }
  /// Returns the state for a checkpoint.
  virtual std::vector<double> state() const { return {}; }
  virtual void restore(const std::vector<double>& state) { (void)state; }
};

/// A name in schedules() and its numbers.
struct ScheduleOptions {
  std::string name = "constant";
  std::vector<double> numbers = {};
  bool operator==(const ScheduleOptions&) const = default;
};
/// Parses "constant", "step:30,0.1", "multistep:60,120,0.2", "cosine", "cosine:0.01", "plateau:5,0.5". @throws
/// UsageError
ScheduleOptions parse_schedule(const std::string& text);
std::string to_string(const ScheduleOptions& options);

struct ScheduleRow {
  std::string name;
  std::string summary;  ///< its arguments: "step:EVERY,FACTOR"
  /// @param numbers  finite and at least 0
  /// @param epochs   length of the training, at least 1
  /// @return null if these are not the arguments of the row
  std::unique_ptr<Schedule> (*make)(const std::vector<double>& numbers, double epochs);
};
const std::vector<ScheduleRow>& schedules();

/// @param warm_up  number of epochs of a linear increase from 0, combined with any schedule
/// @throws UsageError for an unknown name or invalid numbers
std::unique_ptr<Schedule> make_schedule(const ScheduleOptions& options, double warm_up, std::int64_t epochs);

}  // namespace grapes::optim
