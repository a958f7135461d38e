#include "grapes/kernels/snu.h"

#include "grapes/kernels/gemm.h"
#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/node.h"
#include "grapes/kernels/spikes.h"
#include "grapes/kernels/threads.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace grapes::kernels {
namespace {

using torch::autograd::variable_list;

template <class T>
Matrix<const T> read(const at::Tensor& t) {
  return {t.data_ptr<T>(), t.size(0), t.size(1), t.size(1)};
}
template <class T>
Matrix<T> write(const at::Tensor& t) {
  return {t.data_ptr<T>(), t.size(0), t.size(1), t.size(1)};
}

/// Values of the forward pass that the backward pass needs, besides the tensors that autograd saves.
struct Kept {
  Snu layer;
  std::optional<Spikes> inputs;   // instead of x
  at::Tensor x;                   // or x itself
  at::Tensor membrane0, output0;  // initial state
  at::Tensor membrane;            // s after each step
  at::Tensor states;              // y of the state after each step, if it does not follow from s > θ; see tells()
  at::Tensor current;             // c of the synapse, [batch, unit]: before the first step, later after the last one
  at::Tensor present;
  std::int64_t time = 0, batch = 0, in = 0, nodes = 0;

  at::Tensor take(at::IntArrayRef shape) const {
    return layer.workspace->take(shape, options().dtype().toScalarType());
  }
  at::TensorOptions options() const { return layer.threshold.options().requires_grad(false); }
  at::Tensor decays() const { return layer.decay.expand({nodes}).contiguous(); }
  /// Of Reset::value; else null.
  template <class T>
  const T* rest() const {
    return layer.rest.defined() ? layer.rest.data_ptr<T>() : nullptr;
  }
  const bool* runs() const { return present.defined() ? present.data_ptr<bool>() : nullptr; }
  /// Whether y follows from s. It does not if y is not a step or if steps are missing. R's gradient needs all of y.
  bool tells() const { return !layer.smooth && !present.defined() && !layer.recurrent.defined(); }
  /// Calls do_part(begin, end) for parts of the batch. Products with R involve all examples, and have threads of their
  /// own.
  void in_parts(std::int64_t work, const std::function<void(std::int64_t, std::int64_t)>& do_part) const {
    if (layer.recurrent.defined()) return do_part(0, batch);
    in_parallel(batch, time * batch * nodes * work, do_part);
  }
};

template <class T>
T largest(const T* y, std::int64_t count) {
  return *std::max_element(y, y + count);
}

/// current [time · batch, unit] = x Wᵀ
template <class T>
void input_product(const Kept& kept, const at::Tensor& current) {
  if (!kept.layer.weight.defined()) {
    current.copy_(kept.x);
  } else if (kept.inputs) {
    const at::Tensor turned = kept.take({kept.in, kept.nodes});
    turned.copy_(kept.layer.weight.t());
    kept.inputs->product(turned, current);
  } else {
    gemm_in_parts<T>(1, read<T>(kept.x), transposed(read<T>(kept.layer.weight)), 0, write<T>(current));
  }
  if (kept.layer.bias.defined()) at::Tensor(current).add_(kept.layer.bias);
}

/// Updates the synaptic current: c = α c + (W x + b + R y). It stays unchanged at missing steps.
template <class T>
void run_synapse(const Kept& kept, std::int64_t b, T* input) {
  const T* alpha = kept.layer.synapse.data_ptr<T>();
  T* current = kept.current.data_ptr<T>() + b * kept.nodes;
  for (std::int64_t n = 0; n < kept.nodes; ++n) input[n] = current[n] = input[n] + alpha[n] * current[n];
}

/// The error at c plus α times that of the next step is the error at W x + R y. Times m it is the trace.
template <class T>
void run_synapse_back(const Kept& kept, const T* factor, T* later, T* delta, T* trace) {
  const T* alpha = kept.layer.synapse.data_ptr<T>();
  for (std::int64_t n = 0; n < kept.nodes; ++n) {
    delta[n] = later[n] = delta[n] + alpha[n] * later[n];
    trace[n] = factor[n] * delta[n];
  }
}

/// Overwrites the current with s, and computes y. `output` is y with zeros at missing steps; `states` is y itself.
template <class T>
void run_forward(const Kept& kept, const at::Tensor& output, const at::Tensor& states) {
  const Snu& layer = kept.layer;
  const std::int64_t batch = kept.batch, nodes = kept.nodes, plane = batch * nodes;
  const at::Tensor decay = kept.decays();
  const auto loop = loops<T>().snu.forward[layer.smooth ? 1 : 0][static_cast<std::size_t>(layer.reset)];
  constexpr std::int64_t work = 24;  // per unit and step, in multiply-adds
  kept.in_parts(work, [&](std::int64_t begin, std::int64_t end) {
    T *s = kept.membrane.data_ptr<T>(), *y = states.data_ptr<T>();
    const T *s_before = kept.membrane0.data_ptr<T>(), *y_before = kept.output0.data_ptr<T>();
    for (std::int64_t t = 0; t < kept.time; ++t, s_before = s, y_before = y, s += plane, y += plane) {
      if (layer.recurrent.defined())
        gemm<T>(1, {y_before, batch, nodes, nodes}, transposed(read<T>(layer.recurrent)), 1, {s, batch, nodes, nodes});
      for (std::int64_t b = begin; b < end; ++b) {
        const std::int64_t at = b * nodes;
        if (kept.present.defined() && !kept.runs()[t * batch + b]) {
          std::copy_n(s_before + at, nodes, s + at);
          std::copy_n(y_before + at, nodes, y + at);
          std::fill_n(output.data_ptr<T>() + t * plane + at, nodes, T(0));
          continue;
        }
        if (kept.current.defined()) run_synapse(kept, b, s + at);
        const T gate = layer.reset == Reset::lateral ? 1 - largest(y_before + at, nodes) : T(1);
        loop({nodes, static_cast<T>(layer.slope), decay.data_ptr<T>(), layer.threshold.data_ptr<T>(), kept.rest<T>(),
              s_before + at, y_before + at, gate, s + at, y + at});
        if (kept.present.defined()) std::copy_n(y + at, nodes, output.data_ptr<T>() + t * plane + at);
      }
    }
  });
}

struct Errors {
  at::Tensor trace;  // factor · δ of all steps, [time · batch, unit]; overwrites s if no other tensor uses its memory
  at::Tensor membrane0, output0;  // gradients of the initial state, [batch, unit]
  at::Tensor decay, threshold;    // [unit]
};

/// The derivative of lateral inhibition: the sum of `product` is divided among the units with the largest y.
template <class T>
void to_largest(const T* y, std::int64_t nodes, T* product) {
  T sum = 0, top = largest(y, nodes), count = 0;
  for (std::int64_t n = 0; n < nodes; ++n) {
    sum += product[n];
    count += y[n] == top ? T(1) : T(0);
  }
  for (std::int64_t n = 0; n < nodes; ++n) product[n] = y[n] == top ? -sum / count : T(0);
}

/// y of the previous step for example b, if only s is stored.
template <class T>
const T* spikes_of(const T* s, const T* threshold, std::int64_t nodes, T* y) {
  for (std::int64_t n = 0; n < nodes; ++n) y[n] = s[n] - threshold[n] > 0 ? T(1) : T(0);
  return y;
}

template <class T>
Errors run_backward(const Kept& kept, const at::Tensor& error, const at::Tensor& membrane_error,
                    const at::Tensor& last_error, bool decay_learns) {
  const Snu& layer = kept.layer;
  const std::int64_t time = kept.time, batch = kept.batch, nodes = kept.nodes, plane = batch * nodes;
  const at::TensorOptions options = kept.options();
  const auto zeros = [&](at::IntArrayRef shape) { return at::zeros(shape, options); };
  const bool over = layer.once && layer.workspace->exclusive(kept.membrane);
  Errors all{(over ? kept.membrane : kept.take({time, batch, nodes})).view({time * batch, nodes}),
             zeros({batch, nodes}),
             last_error.defined() ? last_error.clone() : zeros({batch, nodes}),
             {},
             {}};
  // Per example, so that the order of sums does not depend on the threads.
  const at::Tensor decays = decay_learns ? zeros({batch, nodes}) : at::Tensor(), thresholds = zeros({batch, nodes});
  const bool recurs = layer.recurrent.defined() && !layer.eprop;
  const at::Tensor delta = recurs ? at::empty({batch, nodes}, options) : at::Tensor(), nothing = zeros({nodes});
  const at::Tensor later = kept.current.defined() ? zeros({batch, nodes}) : at::Tensor();
  const bool scales = layer.factor.defined() && !layer.local, lateral = layer.reset == Reset::lateral;
  const at::Tensor factor = scales ? layer.factor.contiguous() : at::ones({nodes}, options), decay = kept.decays();
  const auto loop = loops<T>().snu.backward[layer.smooth ? 6 : static_cast<std::size_t>(layer.surrogate)]
                                           [static_cast<std::size_t>(layer.reset)];
  constexpr std::int64_t work = 48;  // per unit and step, in multiply-adds
  kept.in_parts(work, [&](std::int64_t begin, std::int64_t end) {
    const at::Tensor rows = at::zeros({3, nodes}, options);
    T *row = rows.data_ptr<T>(), *to_state = all.membrane0.data_ptr<T>(), *to_output = all.output0.data_ptr<T>();
    for (std::int64_t t = time; t-- > 0;) {
      const T* s = kept.membrane.data_ptr<T>() + t * plane;
      const T* s_before = t > 0 ? s - plane : kept.membrane0.data_ptr<T>();
      T* trace = all.trace.data_ptr<T>() + t * plane;
      for (std::int64_t b = begin; b < end; ++b) {
        const std::int64_t at = b * nodes;
        const T* at_membrane =
            membrane_error.defined() ? membrane_error.data_ptr<T>() + t * plane + at : nothing.data_ptr<T>();
        if (kept.present.defined() && !kept.runs()[t * batch + b]) {
          for (std::int64_t n = 0; n < nodes; ++n) to_state[at + n] += at_membrane[n];
          std::fill_n(trace + at, nodes, T(0));
          if (recurs) std::fill_n(delta.data_ptr<T>() + at, nodes, T(0));
          continue;
        }
        const T* y = kept.states.defined() ? kept.states.data_ptr<T>() + t * plane + at : nullptr;
        const T* y_before = t == 0         ? kept.output0.data_ptr<T>() + at
                            : y != nullptr ? y - plane
                                           : spikes_of(s_before + at, layer.threshold.data_ptr<T>(), nodes, row);
        T* d = recurs ? delta.data_ptr<T>() + at : row + nodes;
        const T gate = lateral ? 1 - largest(y_before, nodes) : T(1);
        loop({nodes,
              static_cast<T>(layer.slope),
              static_cast<T>(layer.width),
              decay.data_ptr<T>(),
              layer.threshold.data_ptr<T>(),
              kept.rest<T>(),
              s + at,
              y,
              s_before + at,
              y_before,
              gate,
              layer.detach_reset ? T(0) : T(1),
              error.defined() ? error.data_ptr<T>() + t * plane + at : nothing.data_ptr<T>(),
              at_membrane,
              factor.data_ptr<T>(),
              to_state + at,
              to_output + at,
              d,
              trace + at,
              decay_learns ? decays.data_ptr<T>() + at : row + 2 * nodes,
              thresholds.data_ptr<T>() + at});
        if (lateral) to_largest(y_before, nodes, to_output + at);
        if (later.defined()) run_synapse_back(kept, factor.data_ptr<T>(), later.data_ptr<T>() + at, d, trace + at);
      }
      if (recurs)
        gemm<T>(1, {layer.compounding ? trace : delta.data_ptr<T>(), batch, nodes, nodes}, read<T>(layer.recurrent), 1,
                {to_output, batch, nodes, nodes});
      if (layer.truncate > 0 && t > 0 && t % layer.truncate == 0) {
        const auto cut_off = [&](const at::Tensor& carried) {
          std::fill(carried.data_ptr<T>() + begin * nodes, carried.data_ptr<T>() + end * nodes, T(0));
        };
        cut_off(all.membrane0);
        cut_off(all.output0);
        if (later.defined()) cut_off(later);
      }
    }
  });
  if (decay_learns) all.decay = decays.sum(0);
  all.threshold = thresholds.sum(0);
  return all;
}

/// Σ over steps of (factor · δ)ᵀ x
template <class T>
at::Tensor weight_gradient(const Kept& kept, const at::Tensor& trace) {
  at::Tensor gradient;
  if (kept.inputs) {
    const at::Tensor turned = kept.take({kept.in, kept.nodes});
    kept.inputs->transposed_product(trace, turned);
    gradient = turned.t().contiguous();
  } else {
    gradient = at::empty({kept.nodes, kept.in}, trace.options());
    gemm_in_parts<T>(1, transposed(read<T>(trace)), read<T>(kept.x), 0, write<T>(gradient));
  }
  return kept.layer.local && kept.layer.factor.defined() ? gradient.mul_(kept.layer.factor.unsqueeze(1)) : gradient;
}

/// Σ over steps of (factor · δ_t)ᵀ y_{t-1}
template <class T>
at::Tensor recurrent_gradient(const Kept& kept, const at::Tensor& trace) {
  const std::int64_t batch = kept.batch, nodes = kept.nodes;
  const at::Tensor gradient = at::empty({nodes, nodes}, trace.options());
  gemm_in_parts<T>(1, transposed(read<T>(trace.narrow(0, 0, batch))), read<T>(kept.output0), 0, write<T>(gradient));
  if (kept.time > 1)
    gemm_in_parts<T>(1, transposed(read<T>(trace.narrow(0, batch, (kept.time - 1) * batch))),
                     {kept.states.data_ptr<T>(), (kept.time - 1) * batch, nodes, nodes}, 1, write<T>(gradient));
  return kept.layer.local && kept.layer.factor.defined() ? gradient.mul_(kept.layer.factor.unsqueeze(1)) : gradient;
}

template <class T>
at::Tensor input_error(const Kept& kept, const at::Tensor& trace) {
  if (!kept.layer.weight.defined()) return trace.view({kept.time, kept.batch, kept.in});
  const at::Tensor error = kept.take({kept.time * kept.batch, kept.in});
  if (kept.layer.path.to == ErrorPath::To::matrix) {
    const at::Tensor matrix = kept.layer.path.matrix.contiguous();
    gemm_in_parts<T>(1, read<T>(trace), transposed(read<T>(matrix)), 0, write<T>(error));
  } else {
    gemm_in_parts<T>(1, read<T>(trace), read<T>(kept.layer.weight), 0, write<T>(error));
  }
  return error.view({kept.time, kept.batch, kept.in});
}

struct SnuNode final : torch::autograd::Node {
  Kept kept;
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
      Errors all = run_backward<scalar_t>(kept, errors[0], errors[1], errors[2], task_should_compute_output(5));
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
  Kept kept;
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
    kept.membrane0 = membrane.detach().contiguous();
    kept.output0 = output.detach().contiguous();
    if (layer.synapse.defined()) kept.current = current.detach().clone(at::MemoryFormat::Contiguous);
    kept.present = present.defined() ? present.contiguous() : present;
    kept.x = x.detach().contiguous().view({kept.time * kept.batch, x.size(2)});
    x.reset();
    if (layer.weight.defined() && layer.most_spikes > 0) kept.inputs = Spikes::of(kept.x, kept.in, layer.most_spikes);
    const at::ScalarType dtype = layer.threshold.scalar_type();
    if (kept.inputs)
      kept.x.reset();
    else if (is_packed(kept.x))
      kept.x = unpack(kept.x, kept.in, dtype);
    const std::vector<std::int64_t> shape = {kept.time, kept.batch, kept.nodes};
    kept.membrane = kept.take(shape);
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
