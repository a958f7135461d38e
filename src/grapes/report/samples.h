#pragma once

#include "grapes/record/record.h"
#include "grapes/report/svg.h"

#include <string>

/// Pictures of what a spiking network did with an example, see samples.json in record.h.
namespace grapes::report {

/// Every layer below the other, a mark for each spike; time to the right.
svg::Drawing raster(const record::Json& example, const std::string& color);
/// Membranes of one layer against time.
svg::Drawing membranes(const record::Json& example, const std::string& color);
/// Notes against time: outlines are what was, or is, played; the stronger the color, the more probable.
svg::Drawing piano_roll(const record::Json& roll, const std::string& color, std::int64_t most_steps = 64);

}  // namespace grapes::report
