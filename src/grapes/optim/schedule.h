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

struct ScheduleRow {
  std::string name;
  std::string summary;  ///< its arguments: "step:EVERY,FACTOR"
};
const std::vector<ScheduleRow>& schedules();

/// @param text    "constant", "step:30,0.1", "multistep:60,120,0.2", "cosine", "cosine:0.01", "plateau:5,0.5"
/// @param warm_up  number of epochs of a linear increase from 0, combined with any schedule
/// @throws UsageError
std::unique_ptr<Schedule> make_schedule(const std::string& text, double warm_up, std::int64_t epochs);

}  // namespace grapes::optim
