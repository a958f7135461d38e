#include "grapes/exchange/spiking_net.h"

#include "grapes/nn/snu_layer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

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

at::Tensor forward(const Neurons& neurons, const at::Tensor& x) {
  nn::SnuOptions options;
  options.rule().membrane_activation = "identity";
  options.rule().reset = neurons.resets ? "hard" : "none";
  options.synapse(neurons.synapse);
  nn::SnuLayer layer(options, false, std::make_shared<kernels::Workspace>());
  layer.decay = neurons.decay.flatten().to(x.scalar_type());
  layer.threshold =
      neurons.threshold.defined() ? neurons.threshold.flatten().to(x.scalar_type()) : at::zeros_like(layer.decay);
  layer.recurrent = neurons.recurrent;
  const nn::SnuTrace trace = layer.run(x.flatten(2).contiguous(), {}, {}, {});
  return (neurons.spikes ? trace.output : trace.membrane).view(x.sizes());
}

}  // namespace

at::Tensor run(const SpikingNet& net, at::Tensor x) {
  const at::NoGradGuard no_grad;
  for (const Stage& stage : net.stages) x = std::visit([&](const auto& what) { return forward(what, x); }, stage.what);
  return x;
}

}  // namespace grapes::exchange
