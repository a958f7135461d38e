#pragma once

#include "grapes/experiment/config.h"

/// Keys whose values have a form of their own; the table is keys.cpp, what most keys are is key_kinds.h.
namespace grapes::experiment {

Key model_key();
Key modulation_key();
Key factor_bits_key();
Key clip_key();
Key device_key();
Key arms_key();
Key grid_key();
Key sweep_values_key();

}  // namespace grapes::experiment
