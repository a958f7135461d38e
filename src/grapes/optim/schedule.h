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
  /// @param epoch  epochs done so far, with the part of the current one: 2.5 = in the middle of the third
  virtual double multiple(double epoch) const = 0;
  /// Told after every epoch; reduce-on-plateau listens. `loss` on validation data, on training data if there is none.
  virtual void observe(double loss) { (void)loss; }
  /// What a checkpoint must hold.
  virtual std::vector<double> state() const { return {}; }
  virtual void restore(const std::vector<double>& state) { (void)state; }
};

struct ScheduleRow {
  std::string name;
  std::string summary;  ///< its arguments: "step:EVERY,FACTOR"
};
const std::vector<ScheduleRow>& schedules();

/// @param text    "constant", "step:30,0.1", "multistep:60,120,0.2", "cosine", "cosine:0.01", "plateau:5,0.5"
/// @param warm_up linear from 0 over so many epochs, on top of any of them
/// @throws UsageError
std::unique_ptr<Schedule> make_schedule(const std::string& text, double warm_up, std::int64_t epochs);

}  // namespace grapes::optim
