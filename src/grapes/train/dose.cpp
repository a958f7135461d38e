#include "grapes/train/dose.h"

#include "grapes/base/error.h"
#include "grapes/train/alignment.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <string>

namespace grapes::train {
namespace {

record::Json spread_of(const at::Tensor& values) {
  const at::Tensor r = values.detach().to(at::kDouble);
  const double mean = r.mean().item<double>(), sd = r.std(false).item<double>();
  return {{"mean", finite(mean)}, {"sd", finite(sd)}, {"cv", finite(sd / mean)}};
}

}  // namespace

std::vector<record::Json> dose(const nn::Network& model, const nn::Criterion& criterion, const data::Batch& batch,
                               std::uint64_t seed, std::int64_t step) {
  if (model.requires_fused_update())
    throw UsageError("record-dose", "is not supported for a network that learns by pulses, which has no gradients");
  nn::Pass pass;
  pass.training = true;
  pass.seed = seed;
  pass.step = step;
  pass.present = batch.present;
  Rule rule = model.rule();
  // A modulation that matches norms has the direction without modulation, and the norms of the other one.
  const bool matches = model.matches();
  if (matches) rule.modulation = credit::modulation_of(rule).matches;
  const std::vector<at::Tensor> with = gradients(model, rule, criterion, batch, pass),
                                without = gradients(model, credit::plain(rule.route), criterion, batch, pass),
                                r = model.responsibilities();
  std::vector<record::Json> all;
  for (std::size_t l = 0; l < with.size(); ++l) {
    record::Json row = {{"angle", nullptr}, {"size", nullptr}};
    if (with[l].defined() && without[l].defined()) {
      row["angle"] = finite(angle(matches ? without[l] : with[l], without[l]));
      row["size"] = finite(with[l].norm().item<double>() / without[l].norm().item<double>());
    }
    if (l < r.size()) row["responsibility"] = spread_of(r[l]);
    all.push_back(std::move(row));
  }
  return all;
}

}  // namespace grapes::train
