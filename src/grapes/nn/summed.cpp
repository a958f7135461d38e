#include "grapes/nn/summed.h"

#include "grapes/kernels/node.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

namespace grapes::nn {
namespace {

at::Tensor sum_of(const at::Tensor& x, const Sum& sum) {
  at::Tensor all = x.detach().clone(at::MemoryFormat::Contiguous);
  sum(all);
  return all;
}

struct SumNode final : torch::autograd::Node {
  Sum sum;  // of the error; empty: it passes unchanged
  std::string name() const override { return "GrapesSumOverProcessesBackward"; }
  torch::autograd::variable_list apply(torch::autograd::variable_list&& errors) override {
    const at::NoGradGuard no_grad;
    return {sum && errors[0].defined() ? sum_of(errors[0], sum) : errors[0]};
  }
};

}  // namespace

at::Tensor summed(const at::Tensor& x, const Sum& sum, bool value, bool error) {
  const bool learns = at::GradMode::is_enabled() && x.requires_grad();
  if (!learns && !value) return x;
  at::Tensor all = value ? sum_of(x, sum) : x.detach();
  if (!learns) return all;
  const auto node = kernels::make_node<SumNode>();
  node->set_next_edges(torch::autograd::collect_next_edges(x));
  if (error) node->sum = sum;
  torch::autograd::create_gradient_edge(all, node);
  return all;
}

}  // namespace grapes::nn
