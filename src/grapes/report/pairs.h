#pragma once

#include "grapes/record/record.h"

#include <cstdint>
#include <string>
#include <vector>

/// Numbers of runs against numbers of other runs that began alike.
namespace grapes::report {

/// {"n", "mean", "sd", "interval": 95 % or null}; null of nothing.
record::Json spread(const std::vector<double>& x);

/// One run's number, and how it began.
struct Sample {
  std::uint64_t seed = 0;
  std::string pairing;
  double value = 0;
};
/// The paired differences of the runs that began alike: {"arm", "against", "n", "unpaired", "each", "seeds", "mean",
/// "sd", "interval", "p", "p_holm": null until correct()}.
record::Json paired(const std::string& arm, const std::vector<Sample>& own, const std::string& base,
                    const std::vector<Sample>& others);
/// Holm over one family of these; those without a p are no part of it.
void correct(std::vector<record::Json*> family);

}  // namespace grapes::report
