#pragma once

#include "grapes/data/collection.h"

namespace grapes::data {

/// Street View House Numbers (Netzer et al. 2011): train_32x32.mat and test_32x32.mat, each with X [rows, columns,
/// channels, n] and y, where 10 stands for the digit 0.
Collection read_svhn(const SourceFiles& files);

}  // namespace grapes::data
