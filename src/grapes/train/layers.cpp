#include "grapes/train/layers.h"

#include "grapes/record/histogram.h"

#include <ATen/ATen.h>

namespace grapes::train {

record::Json describe_factor(const at::Tensor& factor) {
  const at::Tensor m = factor.detach().cpu().to(at::kDouble).flatten().contiguous();
  return record::to_json(record::histogram({m.data_ptr<double>(), m.data_ptr<double>() + m.numel()}, 0, 2));
}

record::Json describe_layers(const nn::Network& model, const std::vector<double>& gradient_norms, bool evaluated) {
  const at::NoGradGuard no_grad;
  record::Json layers = record::Json::array();
  const auto parameters = model.parameters();
  const auto& factors = model.factors();
  const std::vector<nn::Activity> activity = evaluated ? model.activity() : std::vector<nn::Activity>();
  std::size_t weights = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::string suffix = ".weight";
    if (!parameters[i].name.ends_with(suffix)) continue;
    record::Json layer = {{"name", parameters[i].name.substr(0, parameters[i].name.size() - suffix.size())},
                          {"weight_norm", parameters[i].value.norm().item<double>()}};
    if (i < gradient_norms.size()) layer["gradient_norm"] = gradient_norms[i];
    if (weights < factors.size()) {
      const credit::Factors& used = factors[weights];
      const at::Tensor& m = used.error.defined() ? used.error : used.rows.defined() ? used.rows : used.columns;
      if (m.defined()) layer["factor"] = describe_factor(m);
    }
    if (weights < activity.size())
      layer["activity"] = {{"rate", activity[weights].rate},
                           {"silent", activity[weights].silent},
                           {"saturated", activity[weights].saturated}};
    layers.push_back(std::move(layer));
    ++weights;
  }
  return layers;
}

}  // namespace grapes::train
