#include "grapes/kernels/snu.h"

#include "grapes/kernels/node.h"
#include "grapes/kernels/snu_time.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <utility>
#include <vector>

namespace grapes::kernels {
namespace {

using torch::autograd::variable_list;

template <class T>
Matrix<T> write(const at::Tensor& t) {
  return {t.data_ptr<T>(), t.size(0), t.size(1), t.size(1)};
}

/// current [time · batch, unit] = x Wᵀ
template <class T>
void input_product(const SnuKept& kept, const at::Tensor& current) {
  if (!kept.layer.weight.defined()) {
    if (current.data_ptr() != kept.x.data_ptr()) current.copy_(kept.x);
  } else if (kept.inputs) {
    const at::Tensor turned = kept.take({kept.in, kept.nodes});
    turned.copy_(kept.layer.weight.t());
    kept.inputs->product(turned, current);
  } else {
    gemm<T>(1, read<T>(kept.x), transposed(read<T>(kept.layer.weight)), 0, write<T>(current));
  }
  if (kept.layer.bias.defined()) at::Tensor(current).add_(kept.layer.bias);
}

/// Σ over steps of (factor · δ)ᵀ x
template <class T>
at::Tensor weight_gradient(const SnuKept& kept, const at::Tensor& trace) {
  at::Tensor gradient;
  if (kept.inputs) {
    const at::Tensor turned = kept.take({kept.in, kept.nodes});
    kept.inputs->transposed_product(trace, turned);
    gradient = turned.t().contiguous();
  } else {
    gradient = at::empty({kept.nodes, kept.in}, trace.options());
    gemm<T>(1, transposed(read<T>(trace)), read<T>(kept.x), 0, write<T>(gradient));
  }
  return kept.layer.local && kept.layer.factor.defined() ? gradient.mul_(kept.layer.factor.unsqueeze(1)) : gradient;
}

/// Σ over steps of (factor · δ_t)ᵀ y_{t-1}
template <class T>
at::Tensor recurrent_gradient(const SnuKept& kept, const at::Tensor& trace) {
  const std::int64_t batch = kept.batch, nodes = kept.nodes;
  const at::Tensor gradient = at::empty({nodes, nodes}, trace.options());
  gemm<T>(1, transposed(read<T>(trace.narrow(0, 0, batch))), read<T>(kept.output0), 0, write<T>(gradient));
  if (kept.time > 1)
    gemm<T>(1, transposed(read<T>(trace.narrow(0, batch, (kept.time - 1) * batch))),
            {kept.states.data_ptr<T>(), (kept.time - 1) * batch, nodes, nodes}, 1, write<T>(gradient));
  return kept.layer.local && kept.layer.factor.defined() ? gradient.mul_(kept.layer.factor.unsqueeze(1)) : gradient;
}

template <class T>
at::Tensor input_error(const SnuKept& kept, const at::Tensor& trace) {
  if (!kept.layer.weight.defined()) return trace.view({kept.time, kept.batch, kept.in});
  const at::Tensor error = kept.take({kept.time * kept.batch, kept.in});
  if (kept.layer.path.to == ErrorPath::To::matrix) {
    const at::Tensor matrix = kept.layer.path.matrix.contiguous();
    gemm<T>(1, read<T>(trace), transposed(read<T>(matrix)), 0, write<T>(error));
  } else {
    gemm<T>(1, read<T>(trace), read<T>(kept.layer.weight), 0, write<T>(error));
  }
  return error.view({kept.time, kept.batch, kept.in});
}

struct SnuNode final : torch::autograd::Node {
  SnuKept kept;
  std::uint32_t weight_version = 0, recurrent_version = 0, membrane_version = 0, states_version = 0;

  std::string name() const override { return "GrapesSnuBackward"; }

  variable_list apply(variable_list&& errors) override {
    TORCH_CHECK(!at::GradMode::is_enabled(), "snu: the fused layer is not differentiable twice");
    variable_list result(8);
    errors.resize(3);  // undefined at `last` if the layer runs once
    if (!errors[0].defined() && !errors[1].defined() && !errors[2].defined()) return result;
    TORCH_CHECK(kept.membrane.defined(), "snu: the backward pass may run only once; its activations were released");
    const Snu& layer = kept.layer;
    TORCH_CHECK((!layer.weight.defined() || layer.weight._version() == weight_version) &&
                    (!layer.recurrent.defined() || layer.recurrent._version() == recurrent_version) &&
                    kept.membrane._version() == membrane_version &&
                    (!kept.states.defined() || kept.states._version() == states_version),
                "snu: a weight, an output or a membrane was changed in place between forward and backward");
    const at::NoGradGuard no_grad;
    for (at::Tensor& error : errors)
      if (error.defined()) error = error.contiguous();
    AT_DISPATCH_FLOATING_TYPES(layer.threshold.scalar_type(), "snu", [&] {
      SnuErrors all = run_backward<scalar_t>(kept, errors[0], errors[1], errors[2],
                                             task_should_compute_output(1) || task_should_compute_output(2),
                                             task_should_compute_output(5));
      errors.clear();  // the layer below can reuse their memory
      if (task_should_compute_output(1)) result[1] = all.membrane0;
      if (task_should_compute_output(2)) result[2] = all.output0;
      all.membrane0.reset();
      all.output0.reset();
      if (task_should_compute_output(0) && layer.path.to != ErrorPath::To::none)
        result[0] = input_error<scalar_t>(kept, all.trace);
      if (layer.weight.defined() && task_should_compute_output(3))
        result[3] = weight_gradient<scalar_t>(kept, all.trace);
      if (layer.recurrent.defined() && task_should_compute_output(4))
        result[4] = recurrent_gradient<scalar_t>(kept, all.trace);
      if (all.decay.defined()) result[5] = layer.decay.numel() == 1 ? all.decay.sum().view({1}) : all.decay;
      result[6] = all.threshold;
      if (layer.bias.defined() && task_should_compute_output(7)) {
        const at::Tensor sum = all.trace.sum(0);
        result[7] = layer.local && layer.factor.defined() ? sum * layer.factor : sum;
      }
    });
    if (layer.once) kept.membrane.reset();
    return result;
  }

  void release_variables() override { kept = {}; }
};

}  // namespace

SnuValues snu(at::Tensor x, const at::Tensor& membrane, const at::Tensor& output, const at::Tensor& current,
              const at::Tensor& present, const Snu& layer) {
  SnuKept kept;
  SnuValues values;
  torch::autograd::edge_list edges;
  if (at::GradMode::is_enabled())
    edges = torch::autograd::collect_next_edges(x, membrane, output, layer.weight, layer.recurrent, layer.decay,
                                                layer.threshold, layer.bias);
  {
    const at::NoGradGuard no_grad;
    kept.layer = layer;
    for (at::Tensor* one : {&kept.layer.weight, &kept.layer.bias, &kept.layer.recurrent, &kept.layer.threshold,
                            &kept.layer.decay, &kept.layer.rest, &kept.layer.synapse})
      if (one->defined()) *one = one->detach().contiguous();
    kept.time = x.size(0), kept.batch = x.size(1), kept.nodes = layer.threshold.size(0);
    kept.in = layer.weight.defined() ? layer.weight.size(1) : x.size(2);
    // Products with R need a row for every example.
    const auto initial = [&](const at::Tensor& state) {
      const bool fits = state.stride(1) == 1 && !layer.recurrent.defined();
      return fits ? state.detach() : state.detach().contiguous();
    };
    kept.membrane0 = initial(membrane);
    kept.output0 = initial(output);
    if (layer.synapse.defined()) kept.current = current.detach().clone(at::MemoryFormat::Contiguous);
    kept.present = present.defined() ? present.contiguous() : present;
    // The current itself becomes the membrane if no other tensor uses its memory.
    const bool over = !layer.weight.defined() && x.is_contiguous() && layer.workspace->exclusive(x);
    if (over) kept.membrane = x.detach();
    kept.x = x.detach().contiguous().view({kept.time * kept.batch, x.size(2)});
    x.reset();
    if (layer.weight.defined() && layer.most_spikes > 0) kept.inputs = Spikes::of(kept.x, kept.in, layer.most_spikes);
    const at::ScalarType dtype = layer.threshold.scalar_type();
    if (kept.inputs)
      kept.x.reset();
    else if (is_packed(kept.x))
      kept.x = unpack(kept.x, kept.in, dtype);
    const std::vector<std::int64_t> shape = {kept.time, kept.batch, kept.nodes};
    if (!over) kept.membrane = kept.take(shape);
    kept.states = kept.take(shape);
    values.output = present.defined() ? kept.take(shape) : kept.states;
    AT_DISPATCH_FLOATING_TYPES(dtype, "snu", [&] {
      input_product<scalar_t>(kept, kept.membrane.view({kept.time * kept.batch, kept.nodes}));
      run_forward<scalar_t>(kept, values.output, kept.states);
    });
    if (!layer.weight.defined()) kept.x.reset();
    values.output = values.output.detach();
    values.membrane = kept.membrane.detach();
    values.current = kept.current;
    if (!layer.once) values.last = kept.states[kept.time - 1].clone();
    if (kept.tells()) kept.states.reset();
  }
  if (!at::GradMode::is_enabled()) return values;
  const auto node = make_node<SnuNode>();
  node->set_next_edges(std::move(edges));
  if (layer.weight.defined()) node->weight_version = kept.layer.weight._version();
  if (layer.recurrent.defined()) node->recurrent_version = kept.layer.recurrent._version();
  node->membrane_version = kept.membrane._version();
  if (kept.states.defined()) node->states_version = kept.states._version();
  node->kept = std::move(kept);
  for (at::Tensor* value : {&values.output, &values.membrane, &values.last})
    if (value->defined()) torch::autograd::create_gradient_edge(*value, node);
  return values;
}

}  // namespace grapes::kernels
