#include "grapes/continual/task_batch.h"

#include "grapes/base/random.h"
#include "grapes/data/sampler.h"

#include <ATen/ATen.h>

#include <utility>

namespace grapes::continual {
namespace {

at::Tensor together(const std::vector<at::Tensor>& parts) { return parts.size() == 1 ? parts.front() : at::cat(parts); }

}  // namespace

at::Tensor order_of_task(const Scenario& scenario, std::int64_t task, std::int64_t epoch, std::int64_t epochs,
                         std::uint64_t seed) {
  const at::Tensor& examples = scenario.examples[static_cast<std::size_t>(task)];
  if (!scenario.shuffle) return examples;
  return examples.index_select(0, data::shuffled_order(examples.size(0), seed, task * epochs + epoch));
}

at::Tensor order_of_all(const Scenario& scenario, std::int64_t epoch, std::uint64_t seed) {
  const auto tasks = static_cast<std::int64_t>(scenario.tasks.size());
  const at::Tensor examples = at::cat(scenario.examples);
  const std::int64_t n = examples.size(0), part = epoch % tasks;
  const at::Tensor order = data::shuffled_order(n, seed, epoch / tasks);
  return examples.index_select(0, order.slice(0, n * part / tasks, n * (part + 1) / tasks));
}

data::Batch make_batch(const Scenario& scenario, const at::Tensor& examples, std::int64_t step, std::uint64_t seed) {
  std::vector<at::Tensor> inputs, targets, present;
  const at::Tensor which = examples.select(1, 0);
  for (std::size_t k = 0; k < scenario.tasks.size(); ++k) {
    const at::Tensor rows = examples.select(1, 1).masked_select(which.eq(static_cast<std::int64_t>(k)));
    if (rows.numel() == 0) continue;
    data::Batch part =
        scenario.tasks[k].train->get(rows, stream_seed(seed, "augment", static_cast<std::uint64_t>(step), k));
    inputs.push_back(std::move(part.inputs));
    targets.push_back(std::move(part.targets));
    present.push_back(std::move(part.present));
  }
  data::Batch batch{together(inputs), together(targets)};
  if (present.front().defined()) batch.present = together(present);
  return batch;
}

at::Tensor tasks_of(const at::Tensor& examples) { return std::get<0>(examples.select(1, 0).sort()); }

at::Tensor rows_of(const at::Tensor& examples) {
  const at::Tensor by_task = std::get<1>(examples.select(1, 0).sort(/*stable=*/true, 0, false));
  return std::get<1>(by_task.sort());
}

at::Tensor answers(const Scenario& scenario, const at::Tensor& logits, const at::Tensor& tasks) {
  if (!scenario.heads.defined()) return logits;
  const at::Tensor columns = scenario.heads.index_select(0, tasks).to(logits.device());
  return logits.gather(1, columns.expand({logits.size(0), columns.size(1)}));
}

}  // namespace grapes::continual
