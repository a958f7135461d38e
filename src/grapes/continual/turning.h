#pragma once

#include "grapes/continual/scenario.h"

#include <cstdint>
#include <string>

/// The scenario of MNIST-360 (Buzzega et al. 2020, "Dark Experience for General Continual Learning", section 4.3): a
/// stream whose classes and angles change all the time.
///
/// Classes 0 ... 8 are used: turned by half, a 6 is a 9. Task t = 9 r + p (r = 0, 1, 2; p = 0 ... 8) has two classes, p
/// and p + 1 (0 after 8). The training examples of a class, in the order of the file, are divided into six parts, one
/// for each of its tasks. Example i of the n of class c is turned by 60 (c - 1) + 360 i / n degrees, counterclockwise.
/// The examples of both classes alternate in proportion to their numbers, and are not shuffled. Test (and validation)
/// example i of the n of class c is turned by 360 i / n degrees, and belongs to task i + 3 c modulo 27, so the average
/// accuracy over all tasks is the accuracy on all angles.
namespace grapes::continual {

/// @throws UsageError if there are not 27 tasks, fewer than nine classes, or no images
record::Json turning(const data::DatasetInfo& info, std::int64_t task, std::int64_t tasks, std::uint64_t seed);
/// @throws DataError for an invalid task
void turning_tasks(Scenario& scenario, const data::Splits& splits, const std::string& where);

}  // namespace grapes::continual
