#include "grapes/train/evaluate.h"

#include "grapes/train/metrics.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

namespace grapes::train {

Evaluation evaluate(nn::Network& model, const data::Dataset& dataset, const nn::Criterion& criterion,
                    std::int64_t batch_size, const HeadSelector& select_head, dist::Group* group) {
  const at::NoGradGuard no_grad;
  const bool classes = dataset.info().problem == data::ProblemKind::classification;
  const std::int64_t n = dataset.size(), outputs = dataset.info().outputs;
  Metrics metrics(dataset);
  Evaluation evaluation;
  if (classes) evaluation.confusion.assign(static_cast<std::size_t>(outputs * outputs), 0);
  if (classes) evaluation.correct = at::zeros({n}, at::kLong);
  for (std::int64_t begin = 0; begin < n; begin += batch_size) {
    // The last part is that of rank 0, whose spikes the record shows.
    if (group != nullptr && (n - 1 - begin) / batch_size % group->size() != group->rank()) continue;
    const data::Batch part = dataset.get(at::arange(begin, std::min(n, begin + batch_size), at::kLong));
    nn::Pass pass;
    pass.step = begin;  // random encoders draw other numbers for every example, but the same ones in every evaluation
    pass.present = part.present;
    const at::Tensor all = model.forward(part.inputs, pass);
    const at::Tensor logits = select_head ? select_head(all) : all;
    const at::Tensor prediction = criterion.prediction(logits).cpu();
    metrics.add(criterion.error(logits, part.targets, part.present).item<double>(), prediction, part);
    if (!classes) continue;
    const at::Tensor predicted = prediction.argmax(1);
    evaluation.correct.slice(0, begin, begin + predicted.size(0)).copy_(predicted == part.targets);
    const at::Tensor cells = (part.targets * outputs + predicted).contiguous();
    for (std::int64_t i = 0; i < cells.size(0); ++i)
      ++evaluation.confusion[static_cast<std::size_t>(cells.data_ptr<std::int64_t>()[i])];
  }
  if (group != nullptr) {
    metrics = Metrics(dataset, summed(*group, metrics.totals()));
    if (classes) group->sum(at::from_blob(evaluation.confusion.data(), {outputs * outputs}, at::kLong));
    if (classes) group->sum(evaluation.correct);
  }
  evaluation.loss = metrics.loss();
  evaluation.score = metrics.score();
  return evaluation;
}

}  // namespace grapes::train
