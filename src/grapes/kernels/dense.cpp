#include "grapes/kernels/dense.h"

#include "grapes/kernels/gemm.h"
#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/node.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <type_traits>
#include <utility>

namespace grapes::kernels {
namespace {

using torch::autograd::Node;
using torch::autograd::variable_list;

template <class T>
Matrix<T> matrix(const at::Tensor& tensor) {
  if (!tensor.is_contiguous() && tensor.t().is_contiguous()) return transposed(matrix<T>(tensor.t()));
  return {tensor.data_ptr<std::remove_const_t<T>>(), tensor.size(0), tensor.size(1), tensor.size(1)};
}

/// C = alpha · A B + beta · C; A and B are both T or both bfloat16.
template <class T>
void multiply(double alpha, const at::Tensor& A, bool A_transposed, const at::Tensor& B, bool B_transposed, double beta,
              const at::Tensor& C) {
  const auto as = [](const auto& m, bool turn) { return turn ? transposed(m) : m; };
  const auto by = [&](auto of_type) {
    using Factor = const decltype(of_type);
    gemm(static_cast<T>(alpha), as(matrix<Factor>(A), A_transposed), as(matrix<Factor>(B), B_transposed),
         static_cast<T>(beta), matrix<T>(C));
  };
  if constexpr (std::is_same_v<T, float>)
    if (A.scalar_type() == at::kBFloat16) return by(c10::BFloat16{});
  by(T{});
}

/// Returns the operand of a product.
at::Tensor factor(const Dense& layer, const at::Tensor& x) {
  if (!layer.rounded) return x;
  return layer.workspace->take(x.sizes(), at::kBFloat16).copy_(x);
}
const at::Tensor& weight_factor(const Dense& layer) {
  return layer.rounded ? layer.rounded->of(layer.weight) : layer.weight;
}

template <class T>
const T* pointer(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<T>() : nullptr;
}

/// Overwrites z = h Wᵀ + b with φ(z) · mask.
template <class T>
void activate(const Dense& layer, at::Tensor a) {
  const std::int64_t batch = a.size(0), nodes = a.size(1);
  T slope = 1;
  switch (layer.activation) {
    case Activation::identity:
      break;
    case Activation::relu:
      slope = 0;
      break;
    case Activation::leaky_relu:
      slope = static_cast<T>(leaky_slope);
      break;
    case Activation::tanh:
      a.tanh_();
      break;
    case Activation::sigmoid:
      a.sigmoid_();
      break;
    case Activation::scaled_tanh:
      a.mul_(scaled_tanh_inner).tanh_().mul_(scaled_tanh_outer);
      break;
  }
  if (!layer.dropout) return loops<T>().rectify(slope, nullptr, a.numel(), a.data_ptr<T>());
  MaskRow<T> mask(layer.dropout);
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t n = 0; n < nodes; n += mask.piece) {
      const std::int64_t count = std::min(mask.piece, nodes - n);
      loops<T>().rectify(slope, mask.at(b, n, count, nodes), count, a.data_ptr<T>() + b * nodes + n);
    }
}

/// @param h  as returned by factor()
template <class T>
void forward(const Dense& layer, const at::Tensor& h, const at::Tensor& a) {
  const std::int64_t batch = a.size(0), nodes = a.size(1);
  double beta = 0;
  if (layer.bias.defined()) {
    beta = 1;
    for (std::int64_t b = 0; b < batch; ++b) std::copy_n(pointer<T>(layer.bias), nodes, a.data_ptr<T>() + b * nodes);
  }
  multiply<T>(1, h, false, weight_factor(layer), true, beta, a);
  activate<T>(layer, a);
}

/// Overwrites dL/dvalue with δ.
template <class T>
void to_delta(const Dense& layer, const at::Tensor& h, const at::Tensor& error) {
  const std::int64_t batch = h.size(0), nodes = h.size(1);
  const auto loop = loops<T>().error[static_cast<std::size_t>(layer.activation)];
  // If a rectifier's value is above 0, the unit was kept, so the value shows the mask.
  const bool value_tells = layer.activation == Activation::relu && !layer.dropout.mask.defined();
  const T scale = value_tells && layer.dropout ? static_cast<T>(1 / (1 - layer.dropout.p)) : T(1);
  MaskRow<T> mask(value_tells ? Dropout{} : layer.dropout);
  const T* factor = pointer<T>(layer.error);
  const std::int64_t per_sample = layer.error.defined() && layer.error.dim() == 2 ? nodes : 0;
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t n = 0; n < nodes; n += mask.piece) {
      const std::int64_t count = std::min(mask.piece, nodes - n);
      loop(h.data_ptr<T>() + b * nodes + n, mask.at(b, n, count, nodes),
           factor != nullptr ? factor + b * per_sample + n : nullptr, scale, count,
           error.data_ptr<T>() + b * nodes + n);
    }
}

/// Returns .grad or `apart`, to which is added (beta 1), or new memory of the workspace (beta 0).
at::Tensor gradient(const Dense& layer, const at::Tensor& parameter, at::Tensor* apart, double& beta) {
  at::Tensor& grad = apart != nullptr ? *apart : parameter.mutable_grad();
  beta = grad.defined() ? 1 : 0;
  if (!grad.defined()) grad = layer.workspace->take(parameter.sizes(), parameter.scalar_type());
  return grad;
}

/// W learns from δᵀ (h ⊙ columns), or this is added to its gradient. The rows of δ are already scaled.
/// @param h, delta  operands, see factor()
/// @param apart  null: the gradient is accumulated in W's .grad
template <class T>
void learn_weight(const Dense& layer, const at::Tensor& delta, at::Tensor h, at::Tensor* apart) {
  if (layer.columns.defined()) {
    at::Tensor scaled = layer.workspace->take(h.sizes(), h.scalar_type());
    h = factor(layer, at::mul_out(scaled, h, layer.columns));
  }
  if (layer.learn) return layer.learn(layer.weight, {delta, h});
  double beta = 0;
  const at::Tensor grad = gradient(layer, layer.weight, apart, beta);
  multiply<T>(1, delta, true, h, false, beta, grad);
  if (layer.mask.defined()) grad.mul_(layer.mask);
}

/// The same for the bias, from Σ δ.
template <class T>
void learn_bias(const Dense& layer, const at::Tensor& delta, at::Tensor* apart) {
  const std::int64_t batch = delta.size(0), nodes = delta.size(1);
  double beta = 0;
  const at::Tensor sum =
      layer.learn ? layer.workspace->take({nodes}, delta.scalar_type()) : gradient(layer, layer.bias, apart, beta);
  T* into = sum.data_ptr<T>();
  const T* errors = delta.data_ptr<T>();
  if (beta == 0) std::fill_n(into, nodes, T(0));
  for (std::int64_t b = 0; b < batch; ++b, errors += nodes)
    for (std::int64_t n = 0; n < nodes; ++n) into[n] += errors[n];
  if (layer.learn) layer.learn(layer.bias, sum);
}

struct DenseBackward final : Node {
  Dense layer;
  at::Tensor input, value;  // detached, because the node must not refer to itself; input as learn_weight() needs it
  std::uint32_t weight_version = 0;

  std::string name() const override { return "GrapesDenseBackward"; }

  variable_list apply(variable_list&& errors) override {
    TORCH_CHECK(!at::GradMode::is_enabled(), "dense: the fused layer is not differentiable twice");
    variable_list result(layer.bias.defined() ? 3 : 2);
    if (!errors[0].defined()) return result;
    TORCH_CHECK(value.defined(), "dense: the backward pass may run only once; its activations were released");
    TORCH_CHECK(layer.once || layer.weight._version() == weight_version,
                "dense: the weight was changed in place between forward and backward");
    const at::NoGradGuard no_grad;
    at::Tensor delta = std::move(errors[0]);
    if (!layer.workspace->exclusive(delta)) {
      const at::Tensor copy = layer.workspace->take(delta.sizes(), delta.scalar_type());
      delta = copy.copy_(delta);
    }
    AT_DISPATCH_FLOATING_TYPES(delta.scalar_type(), "dense", [&] {
      to_delta<scalar_t>(layer, value, delta);
      if (layer.once) value.reset();  // its memory can be reused for the error below
      at::Tensor delta_factor = factor(layer, delta);
      if (task_should_compute_output(0) && layer.path.to != ErrorPath::To::none) {
        result[0] = layer.workspace->take(input.sizes(), delta.scalar_type());
        const bool by_weights = layer.path.to == ErrorPath::To::weights;
        multiply<scalar_t>(1, delta_factor, false, by_weights ? weight_factor(layer) : factor(layer, layer.path.matrix),
                           !by_weights, 0, result[0]);
      }
      if (layer.rows.defined()) {
        delta.mul_(layer.rows);
        delta_factor = factor(layer, delta);
      }
      at::Tensor *dW = layer.once ? nullptr : &result[1], *db = layer.once ? nullptr : &result.back();
      if (layer.once || task_should_compute_output(1)) learn_weight<scalar_t>(layer, delta_factor, input, dW);
      if (layer.bias.defined() && (layer.once || task_should_compute_output(2))) learn_bias<scalar_t>(layer, delta, db);
    });
    if (layer.once) input.reset();
    return result;
  }

  void release_variables() override {
    input.reset();
    value.reset();
  }
};

}  // namespace

at::Tensor dense(const at::Tensor& h, Dense layer) {
  TORCH_INTERNAL_ASSERT(!layer.learn || !layer.mask.defined());
  at::Tensor value, input;
  {
    const at::NoGradGuard no_grad;
    input = factor(layer, h.detach());
    value = layer.workspace->take({h.size(0), layer.weight.size(0)}, h.scalar_type());
    AT_DISPATCH_FLOATING_TYPES(h.scalar_type(), "dense", [&] { forward<scalar_t>(layer, input, value); });
  }
  const auto learns = [](const at::Tensor& tensor) { return tensor.defined() && tensor.requires_grad(); };
  if (!at::GradMode::is_enabled() || !(learns(h) || learns(layer.weight) || learns(layer.bias))) return value;
  const auto node = make_node<DenseBackward>();
  node->set_next_edges(layer.bias.defined() ? torch::autograd::collect_next_edges(h, layer.weight, layer.bias)
                                            : torch::autograd::collect_next_edges(h, layer.weight));
  node->input = layer.columns.defined() ? h.detach() : input;
  node->value = value.detach();
  node->weight_version = layer.weight._version();
  node->layer = std::move(layer);
  torch::autograd::create_gradient_edge(value, node);
  return value;
}

}  // namespace grapes::kernels
