#include "grapes/train/layers.h"

#include "grapes/record/histogram.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace grapes::train {

record::Json describe_factor(const at::Tensor& factor) {
  const at::Tensor m = factor.detach().cpu().to(at::kDouble).flatten().contiguous();
  return record::to_json(record::histogram({m.data_ptr<double>(), m.data_ptr<double>() + m.numel()}, 0, 2));
}

record::Json describe_layers(const nn::Network& model, const Measured& measured) {
  const at::NoGradGuard no_grad;
  record::Json layers = record::Json::array();
  const auto parameters = model.parameters();
  const auto& factors = model.factors();
  const std::vector<nn::Activity> activity = measured.evaluated ? model.activity() : std::vector<nn::Activity>();
  for (const auto& [name, place] : model.weights()) {
    const std::size_t l = layers.size();
    record::Json layer = {{"name", name}, {"weight_norm", parameters[place].value.norm().item<double>()}};
    if (place < measured.gradient_norms.size()) layer["gradient_norm"] = measured.gradient_norms[place];
    if (place < measured.update_norms.size()) layer["update_norm"] = measured.update_norms[place];
    if (l < factors.size() && !model.matches()) {
      const credit::Factors& used = factors[l];
      const at::Tensor& m = used.error.defined() ? used.error : used.rows.defined() ? used.rows : used.columns;
      if (m.defined()) layer["factor"] = describe_factor(m);
    }
    for (const nn::Activity& of : activity)
      if (name == of.name) layer["activity"] = {{"rate", of.rate}, {"silent", of.silent}, {"saturated", of.saturated}};
    if (l < measured.alignment.size()) layer["alignment"] = measured.alignment[l];
    if (l < measured.dose.size()) layer["dose"] = measured.dose[l];
    layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace grapes::train
