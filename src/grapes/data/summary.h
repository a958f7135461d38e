#pragma once

#include "grapes/data/open.h"

#include <string>

namespace grapes::data {

/// A summary for people: sizes, shape, per-class counts in each part, range, notes; a text table.
std::string summary(const Splits& splits);

}  // namespace grapes::data
