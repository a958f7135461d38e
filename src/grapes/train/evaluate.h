#pragma once

#include "grapes/data/dataset.h"
#include "grapes/dist/group.h"
#include "grapes/nn/loss.h"
#include "grapes/nn/network.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace grapes::train {

/// Selects the logits that a batch trains, [batch, outputs] -> [batch, answers]; empty: all logits.
using HeadSelector = std::function<at::Tensor(const at::Tensor& logits)>;

struct Evaluation {
  double loss = 0;
  double score = 0;                     ///< see Metrics
  std::vector<std::int64_t> confusion;  ///< classes × classes, row = true class; empty for regression
  at::Tensor correct = {};              ///< of each example [n] int64: 1 if its class was predicted; undefined likewise
};
/// Computes loss and score of a model on a data set, in evaluation mode.
/// @param group  processes that share the work and all receive the result, or null
Evaluation evaluate(nn::Network& model, const data::Dataset& dataset, const nn::Criterion& criterion,
                    std::int64_t batch_size = 1024, const HeadSelector& select_head = {}, dist::Group* group = nullptr);

}  // namespace grapes::train
