#pragma once

#include "grapes/bench/bench.h"
#include "grapes/kernels/threads.h"

#include <functional>
#include <vector>

namespace grapes::bench {

/// Something that is timed, under its labels.
struct Arm {
  Timing labels;
  std::function<void()> run;
};

/// Arms and the one baseline that each of them is measured against.
struct Group {
  std::function<void()> baseline;
  std::vector<Arm> arms;
};

/// Times the baseline and the arms in turn, a few runs of each at a time so that each finds its data in the cache.
/// @param make  gives the group; called for each thread count, with these threads set
/// @param pool  who does the large products
/// @param runs  timed in a row, after a quarter as many that are not
std::vector<Timing> take_turns(const std::function<Group()>& make, const Options& options,
                               kernels::Pool pool = kernels::Pool::blas, int runs = 12);

}  // namespace grapes::bench
