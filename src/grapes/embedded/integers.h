#pragma once

#include "grapes/data/dataset.h"
#include "grapes/fixed/network.h"
#include "grapes/nn/loss.h"
#include "grapes/nn/network.h"

#include <string>
#include <vector>

namespace grapes::embedded {

/// Options of the conversion of a trained network to integers.
struct IntegerOptions {
  fixed::Formats formats;
  int headroom = -1;          ///< bits by which weights may grow; -1: 1 with learning, else 0
  bool learn = false;         ///< whether the network can continue learning
  std::string rule = "auto";  ///< of learning: bp or grapes; auto: the rule of its training, if it is one of these.
                              ///< Both are the same without hidden units
  int factor_bits = 4, rate_shift = 7;  ///< see fixed::Learning
};

/// Converts a chain of linear layers to integers. Learning uses plain SGD, whatever optimizer was used before, and the
/// loss of the training, without dropout.
/// @param trained    options of the model
/// @param criterion  cross-entropy, or mse on logits
/// @throws UsageError with the model, activation, output, rule, loss or option that integers do not support, or the
///   layer whose weights do not fit
fixed::Network integers(const nn::Network& model, const nn::Options& trained, const nn::Criterion& criterion,
                        data::ProblemKind problem, const IntegerOptions& options);

/// Converts examples to 16-bit integers: rounded to the nearest, saturated. @param examples  [batch, ...] floating
/// point
std::vector<std::vector<std::int32_t>> integers(const at::Tensor& examples, int fraction);

}  // namespace grapes::embedded
