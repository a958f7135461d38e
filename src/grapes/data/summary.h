#pragma once

#include "grapes/data/open.h"

#include <string>

namespace grapes::data {

/// Returns a text table for people: sizes, shape, class counts in each part, ranges, notes.
std::string summary(const Splits& splits);

}  // namespace grapes::data
