#pragma once

#include "grapes/data/dataset.h"
#include "grapes/fixed/network.h"
#include "grapes/nn/loss.h"
#include "grapes/nn/network.h"

#include <string>
#include <vector>

namespace grapes::embedded {

/// How a trained network becomes one in integers.
struct IntegerOptions {
  fixed::Formats formats;
  int headroom = -1;          ///< bits by which weights may grow; -1: 1 where it learns, else 0
  bool learn = false;         ///< whether it can go on learning
  std::string rule = "auto";  ///< of learning: bp, grapes; auto: by which it was trained, if it is one of these.
                              ///< Without hidden nodes both are bp
  int factor_bits = 4, rate_shift = 7;  ///< see fixed::Learning
};

/// A chain of dense layers with its weights, in integers. Learning is plain descent, whatever optimizer was used
/// before, by the loss the network was trained with; dropout is left out.
/// @param trained    what the model was made of
/// @param criterion  cross-entropy, or mse on bare logits
/// @throws UsageError that names what integers lack: a model, an activation, an output, a rule, a loss, an option;
///         or the layer whose weights do not fit
fixed::Network integers(const nn::Network& model, const nn::Options& trained, const nn::Criterion& criterion,
                        data::ProblemKind problem, const IntegerOptions& options);

/// Each example as integers of 16 bits, to the nearest, saturated. @param examples  [batch, ...] floating point
std::vector<std::vector<std::int32_t>> integers(const at::Tensor& examples, int fraction);

}  // namespace grapes::embedded
