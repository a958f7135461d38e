#include "grapes/nn/readout.h"

#include <ATen/ATen.h>

#include <cmath>

namespace grapes::nn {
namespace {

at::Tensor counted(const at::Tensor& present, const at::Tensor& like) {
  return present.unsqueeze(-1).to(like.scalar_type());
}
at::Tensor mean_of(const at::Tensor& y, const at::Tensor& present) {
  return present.defined() ? y.sum(0) / counted(present, y).sum(0).clamp_min(1) : y.mean(0);
}
at::Tensor last_of(const at::Tensor& s, const at::Tensor&) {
  return s[-1];
}  // the membrane is kept after the end of a sequence
at::Tensor max_of(const at::Tensor& s, const at::Tensor& present) {
  return (present.defined() ? s.masked_fill(present.logical_not().unsqueeze(-1), -INFINITY) : s).amax(0);
}
at::Tensor sum_of(const at::Tensor& s, const at::Tensor& present) {
  return (present.defined() ? s * counted(present, s) : s).sum(0);
}

}  // namespace

const std::vector<Readout>& readouts() {
  static const std::vector<Readout> rows = {
      {"mean_rate", "mean of y over time", false, mean_of},
      {"last_membrane", "membrane s after the last time step", true, last_of},
      {"max_membrane", "largest membrane s over time", true, max_of},
      {"integrated_membrane", "sum of the membrane s over time", true, sum_of},
  };
  return rows;
}

}  // namespace grapes::nn
