#pragma once

#include "grapes/data/collection.h"

namespace grapes::data {

/// A small problem whose answer needs memory: two cues, each on one of two lines (0 or 1), at the beginning and after a
/// random delay of 5 to 15 steps; asked for is their exclusive or. A third line spikes with the cues, a fourth at
/// random at one step in five. Made from a fixed seed: 2,000 train and 500 test.
Collection make_delayed_xor(const SourceFiles& files);

}  // namespace grapes::data
