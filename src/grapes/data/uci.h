#pragma once

#include "grapes/data/source.h"

#include <vector>

namespace grapes::data {

/// Returns rows of the table of named sources: tables of the UCI Machine Learning Repository,
/// https://archive.ics.uci.edu.
std::vector<Source> uci_sources();

}  // namespace grapes::data
