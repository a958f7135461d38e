#pragma once

#include "grapes/bench/bench.h"
#include "grapes/kernels/threads.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace grapes::bench {

/// Returns the microseconds of each of `runs` runs in a row, after a quarter as many that warm up.
std::vector<double> times_in_a_row(std::int64_t runs, const std::function<void()>& run);
/// Returns a quantile of sorted numbers, without interpolation. @param q  in [0, 1]
double quantile(const std::vector<double>& sorted, double q);

/// Something to time, with its labels.
struct Arm {
  Timing labels;
  std::function<void()> run;
};

/// Arms, and the baseline with which each is compared.
struct Group {
  std::function<void()> baseline;
  std::vector<Arm> arms;
  bool products = true;  ///< the baseline is matrix products, and none if the BLAS's kernels are outdated
  std::string by = {};   ///< the libraries that compute the baseline
};

/// Times the baseline and the arms in turn, with a few runs of each in a row so that its data is in the cache.
/// @param make  creates the group; called for each number of threads, which is then set
/// @param pool  computes the large products
/// @param runs  timed runs in a row, after a quarter as many warm-up runs
std::vector<Timing> take_turns(const std::function<Group()>& make, const Options& options,
                               kernels::Pool pool = kernels::Pool::blas, int runs = 12);

}  // namespace grapes::bench
