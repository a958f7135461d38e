#include "grapes/core/attach.h"

#include "grapes/core/saved_operands.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace grapes {
namespace {

using torch::autograd::Edge;
using torch::autograd::Node;
using torch::autograd::variable_list;

/// Rounds once, to the dtype of the error. Under autocast the error is bfloat16 and the factor is not.
at::Tensor scaled(const at::Tensor& error, const at::Tensor& scale) { return (error * scale).to(error.scalar_type()); }

/// Multiplies one of the errors that arrive at a node.
class ScaleError final : public torch::autograd::FunctionPreHook {
 public:
  ScaleError(size_t output, at::Tensor scale) : output_(output), scale_(std::move(scale)) {}
  variable_list operator()(const variable_list& errors) override {
    variable_list all = errors;
    if (all[output_].defined()) all[output_] = scaled(all[output_], scale_);
    return all;
  }

 private:
  size_t output_;
  at::Tensor scale_;
};

/// Multiplies the error at a tensor of which z is a view with other strides. The factor is applied in z's layout.
class ScaleBase final : public torch::autograd::FunctionPreHook {
 public:
  ScaleBase(size_t output, at::Tensor scale, const at::Tensor& base, const at::Tensor& z)
      : output_(output),
        scale_(std::move(scale)),
        base_sizes_(base.sizes().vec()),
        base_strides_(base.strides().vec()),
        sizes_(z.sizes().vec()),
        strides_(z.strides().vec()),
        offset_(z.storage_offset() - base.storage_offset()) {}
  variable_list operator()(const variable_list& errors) override {
    variable_list all = errors;
    if (!all[output_].defined()) return all;
    at::Tensor own = at::empty_strided(base_sizes_, base_strides_, all[output_].options());
    own.copy_(all[output_]);
    at::Tensor seen = own.as_strided(sizes_, strides_, own.storage_offset() + offset_);
    seen.copy_(scaled(seen, scale_));
    all[output_] = own;
    return all;
  }

 private:
  size_t output_;
  at::Tensor scale_;
  std::vector<int64_t> base_sizes_, base_strides_, sizes_, strides_;
  int64_t offset_;
};

/// Multiplies the error that a node sends over one of its edges.
class ScaleEdge final : public torch::autograd::FunctionPostHook {
 public:
  ScaleEdge(size_t edge, at::Tensor scale) : edge_(edge), scale_(std::move(scale)) {}
  variable_list operator()(const variable_list& handed_on, const variable_list&) override {
    variable_list all = handed_on;
    if (all[edge_].defined()) all[edge_] = scaled(all[edge_], scale_);
    return all;
  }
  size_t edge() const { return edge_; }

 private:
  size_t edge_;
  at::Tensor scale_;
};

/// Returns the nodes from the outputs down to the inputs, without the nodes of the inputs.
std::vector<Node*> stretch(at::TensorList outputs, at::TensorList inputs) {
  std::unordered_set<const Node*> seen;
  for (const at::Tensor& input : inputs)
    if (input.defined() && input.requires_grad())
      seen.insert(torch::autograd::impl::gradient_edge(input).function.get());
  std::vector<Node*> nodes;
  for (const at::Tensor& output : outputs)
    if (output.defined() && output.grad_fn() != nullptr && seen.insert(output.grad_fn().get()).second)
      nodes.push_back(output.grad_fn().get());
  for (size_t next = 0; next < nodes.size(); ++next)  // `nodes` grows inside the loop
    for (const Edge& edge : nodes[next]->next_edges())
      if (edge.is_valid() && seen.insert(edge.function.get()).second) nodes.push_back(edge.function.get());
  return nodes;
}

/// Whether a node only passes the parameter on in another dtype. The name is compared last, because Node::name() is
/// slow.
bool casts(const Node& node, const Edge& parameter) {
  return node.num_outputs() == 1 && node.next_edge(0) == parameter && node.name() == "ToCopyBackward0";
}

/// Whether an edge leads to the parameter, directly or through a cast. Autocast caches casts, so several calls of a
/// layer can share one. The nodes before the cast belong to a single call.
bool leads_to(const Edge& edge, const Edge& parameter) {
  return edge.is_valid() && (edge == parameter || casts(*edge.function, parameter));
}

/// Calls f(node, index of the edge) for every edge from these nodes to the parameter.
template <class F>
void for_edges(const std::vector<Node*>& nodes, const at::Tensor& parameter, F f) {
  if (!parameter.requires_grad()) return;
  const Edge target = torch::autograd::impl::gradient_edge(parameter);
  for (Node* node : nodes) {
    if (casts(*node, target)) continue;
    for (size_t i = 0; i < node->num_outputs(); ++i)
      if (leads_to(node->next_edge(i), target)) f(*node, i);
  }
}

void scale_edge(Node& node, size_t edge, const at::Tensor& scale) {
  for (const auto& hook : node.post_hooks())
    if (const auto* ours = dynamic_cast<const ScaleEdge*>(hook.get()); ours != nullptr && ours->edge() == edge) return;
  node.add_post_hook(std::make_unique<ScaleEdge>(edge, scale));
}

bool has_scaled_error(Node& node) {
  return std::any_of(node.pre_hooks().begin(), node.pre_hooks().end(),
                     [](const auto& hook) { return dynamic_cast<const ScaleError*>(hook.get()) != nullptr; });
}

}  // namespace

void attach(const at::Tensor& z, const at::Tensor& m, int64_t dim) {
  TORCH_CHECK(z.is_floating_point() && m.is_floating_point(), "attach: z and factor must be floating point; got ",
              z.scalar_type(), " and ", m.scalar_type());
  TORCH_CHECK(dim >= 0 && dim < z.dim(), "attach: dim must be an axis of z; got ", dim, " for shape ", z.sizes());
  TORCH_CHECK(m.dim() == 1 && m.size(0) == z.size(dim), "attach: factor must be [", z.size(dim),
              "], the units along axis ", dim, " of z; got ", m.sizes());
  TORCH_CHECK(m.device() == z.device(), "attach: factor must be on the device of z, ", z.device(), "; got ",
              m.device());
  if (!z.requires_grad()) return;
  TORCH_CHECK(z.grad_fn() != nullptr, "attach: z must be the output of a layer; got a leaf of the graph");
  std::vector<int64_t> shape(static_cast<size_t>(z.dim() - dim), 1);
  shape[0] = m.size(0);
  const at::Tensor scale = m.detach().view(shape);

  if (z.is_view() && z._base().grad_fn() != nullptr) {
    const at::Tensor base(z._base());
    TORCH_CHECK(base.numel() == z.numel(), "attach: z must not be a view of a part of a tensor; got a view of shape ",
                z.sizes(), " of ", base.sizes());
    const size_t output = static_cast<size_t>(base.output_nr());
    // In the layout that layers return (rows of examples reshaped to several axes) there is no need to compare strides.
    const bool last = dim + 1 == z.dim() && base.size(-1) == z.size(-1) && z.is_contiguous() && base.is_contiguous();
    if (last)
      base.grad_fn()->add_pre_hook(std::make_unique<ScaleError>(output, scale));
    else
      base.grad_fn()->add_pre_hook(std::make_unique<ScaleBase>(output, scale, base, z));
    return;
  }
  z.grad_fn()->add_pre_hook(std::make_unique<ScaleError>(static_cast<size_t>(z.output_nr()), scale));
}

int64_t attach_parameter(at::TensorList outputs, at::TensorList inputs, const at::Tensor& parameter,
                         const at::Tensor& scale) {
  TORCH_CHECK(at::infer_size(scale.sizes(), parameter.sizes()) == parameter.sizes().vec(),
              "attach_parameter: scale must broadcast to the parameter, ", parameter.sizes(), "; got ", scale.sizes());
  int64_t edges = 0;
  for_edges(stretch(outputs, inputs), parameter, [&](Node& node, size_t edge) {
    scale_edge(node, edge, scale.detach());
    ++edges;
  });
  return edges;
}

int64_t attach_product(at::TensorList outputs, at::TensorList inputs, const at::Tensor& weight,
                       const OptionalTensor& bias, const at::Tensor& m) {
  TORCH_CHECK(m.dim() == 1 && weight.dim() == 2 && m.size(0) == weight.size(0), "attach_product: factor must be [",
              weight.size(0), "], one per row of the weight; got ", m.sizes());
  const std::vector<Node*> nodes = stretch(outputs, inputs);
  std::unordered_set<const Node*> transposes, products;
  const auto scale_product = [&](Node& node) {
    products.insert(&node);
    if (!has_scaled_error(node)) node.add_pre_hook(std::make_unique<ScaleError>(0, m.detach()));
  };
  if (!weight.requires_grad())
    for (Node* node : nodes)
      for (const SavedOperand& saved : saved_operands(*node))
        if (transpositions_of(weight, saved.value)) scale_product(*node);
  for_edges(nodes, weight, [&](const Node& node, size_t) {
    TORCH_CHECK(node.name() == "TBackward0" || node.name() == "TransposeBackward0",
                "attach_product: the layer runs as one fused node, ", node.name(),
                ", inside which the error at the product with the weight cannot be scaled");
    transposes.insert(&node);
  });
  for (Node* node : nodes) {
    const auto& edges = node->next_edges();
    if (std::none_of(edges.begin(), edges.end(),
                     [&](const Edge& edge) { return transposes.count(edge.function.get()) > 0; }))
      continue;
    TORCH_CHECK(node->name() == "MmBackward0" || node->name() == "AddmmBackward0",
                "attach_product: the weight must be used in a matrix product; it is used by ", node->name());
    scale_product(*node);
  }
  if (bias.has_value() && bias->defined() && (!products.empty() || !weight.requires_grad()))
    for_edges(nodes, *bias, [&](Node& node, size_t edge) {  // the error at the node of the product is already scaled
      if (products.count(&node) == 0) scale_edge(node, edge, m.detach());
    });
  return static_cast<int64_t>(products.size());
}

}  // namespace grapes
