#include "grapes/continual/task_batch.h"

#include "grapes/base/random.h"
#include "grapes/data/sampler.h"

#include <ATen/ATen.h>

#include <utility>

namespace grapes::continual {
namespace {

std::int64_t size_of(const Scenario& scenario, std::int64_t task) {
  return scenario.tasks[static_cast<std::size_t>(task)].train->size();
}

at::Tensor of_task(std::int64_t task, const at::Tensor& rows) {
  return at::stack({at::full({rows.numel()}, task, at::kLong), rows}, 1);
}

at::Tensor together(const std::vector<at::Tensor>& parts) { return parts.size() == 1 ? parts.front() : at::cat(parts); }

}  // namespace

at::Tensor order_of_task(const Scenario& scenario, std::int64_t task, std::int64_t epoch, std::int64_t epochs,
                         std::uint64_t seed) {
  const std::int64_t n = size_of(scenario, task);
  return of_task(task, scenario.shuffle ? data::shuffled_order(n, seed, task * epochs + epoch) : data::file_order(n));
}

at::Tensor order_of_all(const Scenario& scenario, std::int64_t epoch, std::uint64_t seed) {
  const auto tasks = static_cast<std::int64_t>(scenario.tasks.size());
  std::vector<at::Tensor> all;
  for (std::int64_t k = 0; k < tasks; ++k) all.push_back(of_task(k, data::file_order(size_of(scenario, k))));
  const at::Tensor examples = at::cat(all);
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

at::Tensor answers(const Scenario& scenario, const at::Tensor& logits, const at::Tensor& tasks) {
  if (!scenario.heads.defined()) return logits;
  const at::Tensor columns = scenario.heads.index_select(0, tasks).to(logits.device());
  return logits.gather(1, columns.expand({logits.size(0), columns.size(1)}));
}

}  // namespace grapes::continual
