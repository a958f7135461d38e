#pragma once

#include "grapes/data/collection.h"

namespace grapes::data {

/// N-MNIST (Orchard et al. 2015): recordings of digits by an event camera of 34 x 34 pixels and two polarities, as
/// their authors' archives unpack: Train/0/00002.bin ..., Test/0/.... A file is a list of events of 40 bits,
/// big-endian: column, row (8 bits each), polarity (1), time in microseconds (23). Inputs [time, polarity, row,
/// column]. Recordings are kept as they were read and become steps while batching.
/// @throws UsageError of the field "event_steps", DataError that names the file
Collection read_nmnist(const SourceFiles& files);

}  // namespace grapes::data
