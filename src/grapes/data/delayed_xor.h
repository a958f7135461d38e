#pragma once

#include "grapes/data/collection.h"

namespace grapes::data {

/// A small task that needs memory. Two cues arrive, each on one of two lines (0 or 1): at the start, and after a random
/// delay of 5 to 15 steps. The class is their exclusive or. A third line spikes with the cues, a fourth at random in
/// one of five steps. A fixed seed generates the 2,000 training and 500 test sequences.
Collection make_delayed_xor(const SourceFiles& files);

}  // namespace grapes::data
