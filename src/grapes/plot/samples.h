#pragma once

#include "grapes/plot/chart.h"
#include "grapes/record/record.h"

#include <string>

/// Pictures of what a spiking network did with an example, see samples.json in record.h.
namespace grapes::plot {

/// Every layer below the other, a mark for each spike; time to the right.
Drawing raster(const record::Json& example, const std::string& color);
/// Membranes of one layer against time.
Drawing membranes(const record::Json& example, const std::string& color);
/// Notes against time: outlines are what was, or is, played; the stronger the color, the more probable.
Drawing piano_roll(const record::Json& roll, const std::string& color, std::int64_t most_steps = 64);

}  // namespace grapes::plot
