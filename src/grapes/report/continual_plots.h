#pragma once

#include "grapes/report/arms.h"
#include "grapes/report/plots.h"

/// The plots of runs that learn several tasks.
namespace grapes::report {

/// Rows: after which task; columns: accuracy on which task, %. The stronger the color, the higher; mean and
/// half the width of its 95 % interval are told where one points, and of few tasks written. @param arm  an entry of
/// summary["settings"][i]["arms"]
svg::Drawing heat_map(const record::Json& arm, const Styles& styles);

/// Accuracy on one task (from 0), %, against the number of tasks learnt, from the first point of the task's own
/// turn on.
Curve task_curve(const Arm& arm, std::size_t task);
/// Mean accuracy on the tasks so far, %, against their number.
Curve average_curve(const Arm& arm);

/// The average accuracies at the end: a row for each of the arms.
svg::Drawing average_plot(const std::vector<record::Json>& arms, const Styles& styles);

}  // namespace grapes::report
