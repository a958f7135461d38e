#pragma once

#include "grapes/continual/scenario.h"

#include <ATen/core/Tensor.h>

#include <cstdint>

/// Order of the examples, and the outputs that belong to them.
namespace grapes::continual {

/// A batch, and the task of each example.
struct TaskBatch {
  data::Batch batch;
  at::Tensor tasks;  ///< [batch] int64
  at::Tensor rows;   ///< [batch] int64, see rows_of()
  std::int64_t step = 0;
};

/// Returns the examples of an epoch of a task in their order, [n, 2] (task, row). @param epochs  number of epochs per
/// task
at::Tensor order_of_task(const Scenario& scenario, std::int64_t task, std::int64_t epoch, std::int64_t epochs,
                         std::uint64_t seed);
/// The same for joint training: all examples of all tasks in random order, repeatedly. An epoch is the next part of
/// that order.
/// @param epoch  counted over all tasks
at::Tensor order_of_all(const Scenario& scenario, std::int64_t epoch, std::uint64_t seed);

/// Creates the batch of some examples, grouped by task. @param examples  [n, 2] (task, row)
data::Batch make_batch(const Scenario& scenario, const at::Tensor& examples, std::int64_t step, std::uint64_t seed);
/// Returns the task of each row of that batch, [n].
at::Tensor tasks_of(const at::Tensor& examples);
/// Returns the row of each example in that batch, [n].
at::Tensor rows_of(const at::Tensor& examples);

/// Selects the logits that are answers for some tasks.
/// @param logits  [batch, outputs] @param tasks  [batch] int64, or [1] if all are the same
/// @return [batch, answers]
at::Tensor answers(const Scenario& scenario, const at::Tensor& logits, const at::Tensor& tasks);

}  // namespace grapes::continual
