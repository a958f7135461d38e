#include "grapes/optim/schedule.h"

#include "grapes/base/table.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace grapes::optim {
namespace {

class Constant final : public Schedule {
 public:
  double multiple(double) const override { return 1; }
};

/// factor^⌊epoch / every⌋
class Step final : public Schedule {
 public:
  Step(double every, double factor) : every_(every), factor_(factor) {}
  double multiple(double epoch) const override { return std::pow(factor_, std::floor(epoch / every_)); }

 private:
  double every_, factor_;
};

/// factor^(number of milestones passed)
class MultiStep final : public Schedule {
 public:
  MultiStep(std::vector<double> milestones, double factor) : milestones_(std::move(milestones)), factor_(factor) {}
  double multiple(double epoch) const override {
    const auto passed = std::count_if(milestones_.begin(), milestones_.end(), [&](double m) { return epoch >= m; });
    return std::pow(factor_, static_cast<double>(passed));
  }

 private:
  std::vector<double> milestones_;
  double factor_;
};

/// From 1 to `floor` along half a cosine (Loshchilov and Hutter 2017, one period).
class Cosine final : public Schedule {
 public:
  Cosine(double epochs, double floor) : epochs_(epochs), floor_(floor) {}
  double multiple(double epoch) const override {
    const double part = std::min(1.0, epoch / epochs_);
    return floor_ + (1 - floor_) * 0.5 * (1 + std::cos(std::numbers::pi * part));
  }

 private:
  double epochs_, floor_;
};

/// Multiplied by `factor` when the loss has not fallen below its best for more than `patience` epochs.
class Plateau final : public Schedule {
 public:
  Plateau(double patience, double factor) : patience_(patience), factor_(factor) {}
  double multiple(double) const override { return multiple_; }
  void observe(double loss) override {
    if (loss < best_) {
      best_ = loss;
      bad_ = 0;
    } else if (++bad_ > patience_) {
      multiple_ *= factor_;
      bad_ = 0;
    }
  }
  std::vector<double> state() const override { return {multiple_, best_, bad_}; }
  void restore(const std::vector<double>& state) override {
    if (state.size() == 3) {
      multiple_ = state[0];
      best_ = state[1];
      bad_ = state[2];
    }
  }

 private:
  double patience_, factor_;
  double multiple_ = 1, best_ = std::numeric_limits<double>::max(), bad_ = 0;
};

/// Linear increase from 0 over the first epochs, multiplied with another schedule.
class WarmUp final : public Schedule {
 public:
  WarmUp(std::unique_ptr<Schedule> inner, double epochs) : inner_(std::move(inner)), epochs_(epochs) {}
  double multiple(double epoch) const override {
    // The rate of the first batch must not be 0, so the ramp starts at a thousandth.
    return inner_->multiple(epoch) * std::clamp(epoch / epochs_, 1e-3, 1.0);
  }
  void observe(double loss) override { inner_->observe(loss); }
  std::vector<double> state() const override { return inner_->state(); }
  void restore(const std::vector<double>& state) override { inner_->restore(state); }

 private:
  std::unique_ptr<Schedule> inner_;
  double epochs_;
};

using Numbers = std::vector<double>;
using Made = std::unique_ptr<Schedule>;

Made constant(const Numbers& numbers, double) { return numbers.empty() ? std::make_unique<Constant>() : nullptr; }

Made step(const Numbers& numbers, double) {
  if (numbers.size() != 2 || numbers[0] == 0 || numbers[1] == 0) return nullptr;
  return std::make_unique<Step>(numbers[0], numbers[1]);
}

Made multistep(const Numbers& numbers, double) {
  if (numbers.size() < 2 || numbers.back() == 0) return nullptr;
  return std::make_unique<MultiStep>(Numbers(numbers.begin(), numbers.end() - 1), numbers.back());
}

Made cosine(const Numbers& numbers, double epochs) {
  const double floor = numbers.empty() ? 0 : numbers.front();
  return numbers.size() <= 1 && floor <= 1 ? std::make_unique<Cosine>(epochs, floor) : nullptr;
}

Made plateau(const Numbers& numbers, double) {
  if (numbers.size() != 2 || numbers[1] == 0 || numbers[1] >= 1) return nullptr;
  return std::make_unique<Plateau>(numbers[0], numbers[1]);
}

/// @param text  as it was given, for the message
UsageError wrong_form(const std::string& text, const ScheduleRow& row) {
  return {"schedule", "'" + text + "' does not have the form " + row.summary};
}

/// @param text  see wrong_form()
Made made(const ScheduleOptions& options, std::int64_t epochs, const std::string& text) {
  const ScheduleRow& row = find_row(schedules(), "schedule", options.name);
  const bool valid = std::ranges::all_of(options.numbers, [](double x) { return std::isfinite(x) && x >= 0; });
  Made schedule = valid ? row.make(options.numbers, static_cast<double>(std::max<std::int64_t>(epochs, 1))) : nullptr;
  if (!schedule) throw wrong_form(text, row);
  return schedule;
}

}  // namespace

const std::vector<ScheduleRow>& schedules() {
  static const std::vector<ScheduleRow> rows = {
      {"constant", "constant: always the base rate", constant},
      {"step", "step:EVERY,FACTOR: multiplied by FACTOR every EVERY epochs", step},
      {"multistep", "multistep:E1,E2,...,FACTOR: multiplied by FACTOR at epochs E1, E2, ...", multistep},
      {"cosine",
       "cosine or cosine:FLOOR: half a cosine, from the base rate to FLOOR times the base rate (0 by default)", cosine},
      {"plateau",
       "plateau:PATIENCE,FACTOR: multiplied by FACTOR when the validation loss has not improved for PATIENCE epochs",
       plateau},
  };
  return rows;
}

ScheduleOptions parse_schedule(const std::string& text) {
  const std::size_t colon = text.find(':');
  const ScheduleRow& row = find_row(schedules(), "schedule", text.substr(0, colon));
  ScheduleOptions options{row.name};
  if (colon != std::string::npos)
    for (const std::string& piece : split(std::string_view(text).substr(colon + 1), ',')) {
      const auto number = to_double(trim(piece));
      if (!number) throw wrong_form(text, row);
      options.numbers.push_back(*number);
    }
  made(options, 1, text);
  return options;
}

std::string to_string(const ScheduleOptions& options) {
  std::vector<std::string> numbers;
  for (const double number : options.numbers) numbers.push_back(shortest(number));
  return options.name + (numbers.empty() ? "" : ":" + join(numbers, ","));
}

std::unique_ptr<Schedule> make_schedule(const ScheduleOptions& options, double warm_up, std::int64_t epochs) {
  std::unique_ptr<Schedule> schedule = made(options, epochs, to_string(options));
  if (!(warm_up >= 0) || !std::isfinite(warm_up))
    throw UsageError("warm_up", "must be a number of epochs, at least 0; got " + shortest(warm_up));
  if (warm_up > 0) schedule = std::make_unique<WarmUp>(std::move(schedule), warm_up);
  return schedule;
}

}  // namespace grapes::optim
