#include "grapes/exchange/spiking_net.h"

#include "grapes/nn/snu_layer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <type_traits>

namespace grapes::exchange {
namespace {

at::IntArrayRef pair(const std::array<std::int64_t, 2>& values) { return values; }

/// Applies a layer without time to every step, as if steps were examples.
template <class Layer>
at::Tensor at_each_step(const at::Tensor& x, const Layer& layer) {
  return layer(x.flatten(0, 1)).unflatten(0, {x.size(0), x.size(1)});
}

at::Tensor forward(const Linear& linear, const at::Tensor& x) { return at::linear(x, linear.weight, linear.bias); }

at::Tensor forward(const Convolution& c, const at::Tensor& x) {
  return at_each_step(x, [&](const at::Tensor& pictures) {
    return at::conv2d(pictures, c.weight, c.bias, pair(c.stride), pair(c.padding), pair(c.dilation), c.groups);
  });
}

at::Tensor forward(const Pooling& pool, const at::Tensor& x) {
  return at_each_step(x, [&](const at::Tensor& maps) {
    const at::Tensor mean = at::avg_pool2d(maps, pair(pool.window), pair(pool.stride), pair(pool.padding));
    return pool.mean ? mean : mean * (pool.window[0] * pool.window[1]);
  });
}

at::Tensor forward(const Flatten&, const at::Tensor& x) { return x.flatten(2); }

at::Tensor forward(const Delay& delay, const at::Tensor& x) {
  const std::int64_t time = x.size(0), units = delay.steps.numel();
  const at::Tensor from = at::arange(time).unsqueeze(1) - delay.steps.flatten().unsqueeze(0);
  const at::Tensor index = from.clamp_min(0).unsqueeze(1).expand({time, x.size(1), units});
  const at::Tensor started = from.ge(0).unsqueeze(1);
  return (x.flatten(2).gather(0, index) * started).view(x.sizes());
}

/// [time, batch, unit], s before a reset
nn::SnuTrace traced(const Neurons& neurons, const at::Tensor& x) {
  nn::SnuOptions options;
  options.rule().membrane_activation = "identity";
  options.rule().reset = neurons.reset;
  nn::SnuLayer layer(options, false, std::make_shared<kernels::Workspace>());
  const auto flat = [&](const at::Tensor& one) { return one.defined() ? one.flatten().to(x.scalar_type()) : one; };
  layer.decay = flat(neurons.decay);
  layer.threshold = neurons.threshold.defined() ? flat(neurons.threshold) : at::zeros_like(layer.decay);
  layer.synapse = flat(neurons.synapse);
  layer.reset_value = flat(neurons.reset_value);
  layer.recurrent = neurons.recurrent;
  return layer.run(x.flatten(2).contiguous(), {}, {}, {});
}

at::Tensor shown_membrane(const Neurons& neurons, const nn::SnuTrace& trace) {
  const auto flat = [&](const at::Tensor& one) {
    return one.defined() ? one.flatten().to(trace.membrane.scalar_type()) : at::zeros({1}, trace.membrane.options());
  };
  at::Tensor s = trace.membrane;
  if (neurons.reset == "hard") s = at::where(trace.output > 0, flat(neurons.reset_value), s);
  if (neurons.reset == "subtract") s = s - trace.output * flat(neurons.threshold);
  return s + flat(neurons.leak);
}

}  // namespace

at::Tensor run(const SpikingNet& net, at::Tensor x, std::map<std::string, at::Tensor>* membranes) {
  const at::NoGradGuard no_grad;
  for (const Stage& stage : net.stages) {
    const auto pass = [&](const auto& what) {
      if constexpr (std::is_same_v<decltype(what), const Neurons&>) {
        const nn::SnuTrace trace = traced(what, x);
        if (membranes != nullptr) (*membranes)[stage.name] = shown_membrane(what, trace).view(x.sizes());
        return (what.spikes ? trace.output : trace.membrane).view(x.sizes());
      } else {
        return forward(what, x);
      }
    };
    x = std::visit(pass, stage.what);
  }
  return x;
}

}  // namespace grapes::exchange
