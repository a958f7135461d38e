#include "grapes/fixed/tile.h"

#include "grapes/base/error.h"
#include "grapes/fixed/factor.h"

#include <fmt/format.h>

namespace grapes::fixed {
namespace {

void check_width(const char* name, int found, int least, int most) {
  if (found < least || found > most)
    throw UsageError(fmt::format("tile: {} must be {} to {}; got {}", name, least, most, found));
}

void check_numbers(const char* name, std::span<const std::int32_t> numbers, int bits) {
  for (std::size_t i = 0; i < numbers.size(); ++i)
    if (saturate(numbers[i], bits) != numbers[i])
      throw UsageError(fmt::format("tile: {} {} is {}, which does not fit into {} bits", name, i, numbers[i], bits));
}

}  // namespace

void update(std::span<std::int32_t> weights, std::span<const std::int32_t> errors, std::span<const std::uint32_t> steps,
            std::span<const std::int32_t> activations, const Widths& widths) {
  check_width("weight bits", widths.weight, 2, 32);
  check_width("error bits", widths.error, 2, 32);
  check_width("activation bits", widths.activation, 2, 32);
  check_width("factor bits", widths.factor, 0, most_factor_bits);
  check_width("shift", widths.shift, 0, 62);
  if (steps.size() != errors.size() || weights.size() != errors.size() * activations.size())
    throw UsageError(
        fmt::format("tile: {} errors, {} factors and {} activations for {} weights; expected one factor per "
                    "error and one weight per pair",
                    errors.size(), steps.size(), activations.size(), weights.size()));
  check_numbers("weight", weights, widths.weight);
  check_numbers("error", errors, widths.error);
  check_numbers("activation", activations, widths.activation);
  for (std::size_t n = 0; n < steps.size(); ++n)
    if (steps[n] > 1u << widths.factor)
      throw UsageError(fmt::format("tile: factor {} is {} steps; {} fraction bits have at most {}", n, steps[n],
                                   widths.factor, 1u << widths.factor));

  for (std::size_t n = 0; n < errors.size(); ++n) {
    const std::int64_t error = modulate(errors[n], steps[n], widths.factor, widths.error);
    for (std::size_t i = 0; i < activations.size(); ++i) {
      std::int32_t& weight = weights[n * activations.size() + i];
      weight = saturate(weight - shift_right(error * activations[i], widths.shift), widths.weight);
    }
  }
}

}  // namespace grapes::fixed
