#pragma once

#include "grapes/experiment/config.h"
#include "grapes/record/record.h"

namespace grapes::experiment {

/// Returns versions, git hash, compiler, CPU, threads, BLAS and time for env.json and `grapes env`.
record::Json environment(const Config& config);

/// Assigns the run's threads to the library of its large products: the BLAS, or LibTorch if oneDNN computes them.
void take_threads(const Config& config);

}  // namespace grapes::experiment
