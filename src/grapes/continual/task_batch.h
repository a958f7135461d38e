#pragma once

#include "grapes/continual/scenario.h"

#include <ATen/core/Tensor.h>

#include <cstdint>

/// Which examples are seen when, and which of a network's outputs they are about.
namespace grapes::continual {

/// A batch, and to which task each example belongs.
struct TaskBatch {
  data::Batch batch;
  at::Tensor tasks;  ///< [batch] int64
  std::int64_t step = 0;
};

/// The examples of an epoch of a task in the order in which they are seen, [n, 2] (task, row). @param epochs  of a task
at::Tensor order_of_task(const Scenario& scenario, std::int64_t task, std::int64_t epoch, std::int64_t epochs,
                         std::uint64_t seed);
/// The same for joint training: all examples of all tasks in random order, again and again, an epoch being the next
/// part of that. @param epoch  counted over all tasks
at::Tensor order_of_all(const Scenario& scenario, std::int64_t epoch, std::uint64_t seed);

/// The batch of some examples, those of one task beside each other. @param examples  [n, 2] (task, row)
data::Batch make_batch(const Scenario& scenario, const at::Tensor& examples, std::int64_t step, std::uint64_t seed);
/// The task of each example of that batch, [n].
at::Tensor tasks_of(const at::Tensor& examples);

/// Those of the logits that are the answers to examples of some tasks.
/// @param logits  [batch, outputs]; @param tasks  [batch] int64, or [1] for all of them
/// @return [batch, answers]
at::Tensor answers(const Scenario& scenario, const at::Tensor& logits, const at::Tensor& tasks);

}  // namespace grapes::continual
