#pragma once

#include "grapes/plot/chart.h"
#include "grapes/record/record.h"

#include <string>

/// Images of the activity of a spiking network for one example, see samples.json in record.h.
namespace grapes::plot {

/// Draws a raster of the spikes of all layers, with time to the right.
Drawing raster(const record::Json& example, const std::string& color);
/// Draws the membranes of one layer against time.
Drawing membranes(const record::Json& example, const std::string& color);
/// Draws notes against time. Outlines are the notes that were played; a stronger color means a higher probability.
Drawing piano_roll(const record::Json& roll, const std::string& color, std::int64_t most_steps = 64);

}  // namespace grapes::plot
