#pragma once

#include "grapes/experiment/config.h"
#include "grapes/record/record.h"

namespace grapes::experiment {

/// Versions, git hash, compiler, CPU, threads, BLAS, time: env.json and `grapes env`.
record::Json environment(const Config& config);

/// Gives the run's threads to the library that does its large products: the BLAS, or LibTorch for oneDNN.
void take_threads(const Config& config);

}  // namespace grapes::experiment
