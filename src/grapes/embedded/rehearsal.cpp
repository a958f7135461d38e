#include "grapes/embedded/rehearsal.h"

#include "grapes/base/random.h"
#include "grapes/embedded/integers.h"
#include "grapes/train/evaluate.h"
#include "grapes/train/metrics.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace grapes::embedded {
namespace {

constexpr std::int64_t piece = 256;  // number of examples at a time

/// Visits a data set batch by batch, in the order of `rows`.
template <class Visit>
void for_each_batch(const data::Dataset& dataset, const at::Tensor& rows, Visit visit) {
  for (std::int64_t begin = 0; begin < rows.size(0); begin += piece)
    visit(dataset.get(rows.slice(0, begin, std::min(begin + piece, rows.size(0)))));
}

}  // namespace

Score score(const fixed::Network& network, fixed::State& state, const data::Dataset& dataset,
            const nn::Criterion& criterion) {
  const double one = 1 << network.formats.activation;
  Score result;
  train::Metrics metrics(dataset);
  for_each_batch(dataset, at::arange(dataset.size(), at::kLong), [&](const data::Batch& batch) {
    std::vector<float> logits;
    for (const std::vector<std::int32_t>& x : integers(batch.inputs, network.formats.input))
      for (const std::int32_t logit : fixed::infer(network, state, x)) {
        logits.push_back(static_cast<float>(logit / one));
        result.saturated += logit == -32768 || logit == 32767 ? 1 : 0;
      }
    const at::Tensor outputs = at::tensor(logits).view({batch.inputs.size(0), -1});
    metrics.add(0, criterion.standardizes() ? criterion.prediction(outputs) : outputs, batch);
  });
  result.value = metrics.score();
  return result;
}

void learn(const fixed::Network& network, fixed::State& state, const data::Dataset& dataset, const at::Tensor& rows,
           const nn::Criterion& criterion) {
  for_each_batch(dataset, rows, [&](const data::Batch& batch) {
    const std::vector<std::vector<std::int32_t>> inputs = integers(batch.inputs, network.formats.input);
    std::vector<std::vector<std::int32_t>> targets;
    if (!network.classes)
      targets = integers(criterion.standardized(batch.targets).to(at::kFloat), network.formats.activation);
    for (std::size_t b = 0; b < inputs.size(); ++b)
      if (network.classes)
        fixed::learn(network, state, inputs[b],
                     static_cast<std::size_t>(batch.targets[static_cast<std::int64_t>(b)].item<std::int64_t>()));
      else
        fixed::learn(network, state, inputs[b], targets[b]);
  });
}

Rehearsal rehearse(const experiment::Loaded& loaded, const fixed::Network& network, const data::Splits& splits,
                   const data::Dataset& examples, std::int64_t passes) {
  fixed::State state = fixed::begin(network);
  Rehearsal result;
  result.real = train::evaluate(*loaded.model, examples, loaded.criterion).score;
  result.before = score(network, state, examples, loaded.criterion);
  for (std::int64_t pass = 0; pass < passes; ++pass) {
    Random random(stream_seed(loaded.config.training.seed, "rehearse", static_cast<std::uint64_t>(pass)));
    const at::Tensor order = splits.shuffle ? at::tensor(permutation(splits.train->size(), random))
                                            : at::arange(splits.train->size(), at::kLong);
    learn(network, state, *splits.train, order, loaded.criterion);
    result.after.push_back(score(network, state, examples, loaded.criterion).value);
  }
  return result;
}

}  // namespace grapes::embedded
