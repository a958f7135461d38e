#include "grapes/kernels/normalization.h"

#include "grapes/kernels/convolution.h"
#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/node.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

namespace grapes::kernels {
namespace {

using torch::autograd::variable_list;
constexpr std::int64_t most_lanes = 16;
/// A number for each channel of a block; the rest is 0 if a block has fewer than 16 channels.
template <class T>
using Lanes = std::array<T, most_lanes>;

/// Two sums per channel over all positions of the batch.
struct Sums {
  Lanes<double> first{}, second{};
};

/// Statistics of a block of channels, and the line that they give. If μ is large compared to σ, float is too coarse for
/// μ. z minus a nearby center is exact, so the rest of μ is added to the shift.
struct Channels {
  Lanes<double> mean{}, inverse{};  ///< μ, 1 / √(σ² + ε)
  Lanes<float> center{}, scale{}, shift{};

  Loops<float>::Line line(Activation activation) const {
    return {center.data(), scale.data(), shift.data(), slope_of(activation).value()};
  }
};

/// A layer and the sizes of its batch.
struct Layer {
  Normalization given;
  std::int64_t batch = 0, blocks = 0, rows = 0, columns = 0, lanes = 0;
  bool together = false;  ///< all channels share their statistics

  std::int64_t places() const { return rows * columns; }
  /// Number of elements in each mean.
  double count() const { return static_cast<double>(batch * places() * (together ? blocks * lanes : 1)); }
  std::vector<std::int64_t> sizes_of_value() const {
    return {batch, blocks, rows / given.pool, columns / given.pool, lanes};
  }
  const float* of_block(const at::Tensor& per_channel, std::int64_t block) const {
    return per_channel.data_ptr<float>() + block * lanes;
  }

  /// Calls do_map(map of z, its values or errors after pooling) for each example of a block.
  template <class DoMap>
  void each_map(std::int64_t block, const at::Tensor& z, const at::Tensor& value, DoMap do_map) const {
    const std::int64_t size = places() * lanes, small = rows / given.pool * (columns / given.pool) * lanes;
    for (std::int64_t n = block; n < batch * blocks; n += blocks)
      do_map(Loops<float>::Map{z.data_ptr<float>() + n * size, rows, columns, lanes, given.pool},
             value.data_ptr<float>() + n * small);
  }

  /// sum(block, sums) computes a block's sums and use(block, sums) uses them: immediately, while the maps are in the
  /// cache, unless all blocks share their sums. A block is processed by one thread, so sums do not depend on the number
  /// of threads.
  template <class Sum, class Use>
  void in_two_passes(Sum sum, Use use) const {
    std::vector<Sums> all(static_cast<std::size_t>(blocks));
    const auto each_block = [&](auto do_block) {
      at::parallel_for(0, blocks, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t block = begin; block < end; ++block) do_block(block, all[static_cast<std::size_t>(block)]);
      });
    };
    if (!together) {
      each_block([&](std::int64_t block, Sums& sums) {
        sum(block, sums);
        use(block, sums);
      });
      return;
    }
    each_block(sum);
    Sums whole;
    for (const Sums& one : all) {
      whole.first.fill(std::accumulate(one.first.begin(), one.first.end(), whole.first[0]));
      whole.second.fill(std::accumulate(one.second.begin(), one.second.end(), whole.second[0]));
    }
    all.assign(all.size(), whole);
    each_block(use);
  }
};

/// running ← 0.9 running + 0.1 batch
void move(const at::Tensor& running, std::size_t at, double batch) {
  float& value = running.data_ptr<float>()[at];
  value = static_cast<float>((1 - norm_momentum) * value + norm_momentum * batch);
}

/// @param sums  Σ z, Σ z²; not read with running statistics
Channels channels_of(const Layer& layer, std::int64_t block, const Sums& sums) {
  const Normalization& given = layer.given;
  const float *gamma = layer.of_block(given.scale, block), *beta = layer.of_block(given.shift, block);
  const double count = layer.count();
  Channels all;
  for (std::size_t i = 0; i < static_cast<std::size_t>(layer.lanes); ++i) {
    const std::size_t channel = static_cast<std::size_t>(block * layer.lanes) + i,
                      running = layer.together ? 0 : channel;
    double mean = sums.first[i] / count, variance = std::max(0.0, sums.second[i] / count - mean * mean);
    if (!given.training) {
      mean = given.mean.data_ptr<float>()[running];
      variance = given.variance.data_ptr<float>()[running];
    } else if (given.remember && running == channel && count > 1) {
      move(given.mean, running, mean);
      move(given.variance, running, variance * count / (count - 1));
    }
    all.mean[i] = mean;
    all.inverse[i] = 1 / std::sqrt(variance + norm_epsilon);
    all.center[i] = static_cast<float>(mean);
    all.scale[i] = static_cast<float>(gamma[i] * all.inverse[i]);
    all.shift[i] = static_cast<float>(beta[i] - gamma[i] * all.inverse[i] * (mean - all.center[i]));
  }
  return all;
}

struct NormalizationNode final : torch::autograd::Node {
  Layer layer;
  at::Tensor z;
  std::vector<Channels> channels;
  std::uint32_t z_version = 0, scale_version = 0;

  std::string name() const override { return "GrapesNormalizationBackward"; }
  const Channels& of(std::int64_t block) const { return channels[static_cast<std::size_t>(block)]; }

  /// Computes Σ δ and Σ δ x̂, which are dL/dβ and dL/dγ. Their products with γ give the means.
  void sum(std::int64_t block, Sums& sums, const at::Tensor& error, float* d_gamma, float* d_beta) const {
    const Channels& all = of(block);
    const Loops<float>::Line line = all.line(layer.given.activation);
    layer.each_map(block, z, error, [&](const Loops<float>::Map& map, const float* e) {
      loops<float>().error_sums(map, line, e, sums.first.data(), sums.second.data());
    });
    const float* gamma = layer.of_block(layer.given.scale, block);
    const float* factor =
        layer.together && layer.given.error.defined() ? layer.of_block(layer.given.error, block) : nullptr;
    for (std::size_t i = 0; i < static_cast<std::size_t>(layer.lanes); ++i) {
      if (factor != nullptr) {
        sums.first[i] *= factor[i];
        sums.second[i] *= factor[i];
      }
      const double product = all.inverse[i] * (sums.second[i] - (all.mean[i] - all.center[i]) * sums.first[i]);
      d_beta[i] = static_cast<float>(sums.first[i]);
      d_gamma[i] = static_cast<float>(product);
      sums.first[i] *= gamma[i];
      sums.second[i] = product * gamma[i];
    }
  }

  /// Overwrites z with dL/dz. @param sums  Σ γ δ, Σ γ δ x̂
  void replace(std::int64_t block, const Sums& sums, const at::Tensor& error) const {
    const Channels& all = of(block);
    const float* gamma = layer.of_block(layer.given.scale, block);
    const float* factor = layer.given.error.defined() ? layer.of_block(layer.given.error, block) : nullptr;
    Lanes<float> by_error{}, by_distance{}, constant{};
    for (std::size_t i = 0; i < static_cast<std::size_t>(layer.lanes); ++i) {
      const double m = factor != nullptr ? factor[i] : 1, outside = m * all.inverse[i];
      // A factor after the activation is already in the sums.
      const double share = layer.given.training ? (layer.together ? all.inverse[i] : outside) / layer.count() : 0;
      const double distance = -share * sums.second[i] * all.inverse[i];
      by_error[i] = static_cast<float>(outside * gamma[i]);
      by_distance[i] = static_cast<float>(distance);
      constant[i] = static_cast<float>(-share * sums.first[i] - distance * (all.mean[i] - all.center[i]));
    }
    const Loops<float>::Line line = all.line(layer.given.activation);
    layer.each_map(block, z, error, [&](const Loops<float>::Map& map, const float* e) {
      loops<float>().normalized_error(map, line, e, {by_error.data(), by_distance.data(), constant.data()});
    });
  }

  variable_list apply(variable_list&& errors) override {
    TORCH_CHECK(!at::GradMode::is_enabled(), "normalization: the fused layer is not differentiable twice");
    variable_list result(3);
    if (!errors[0].defined()) return result;
    TORCH_CHECK(z.defined(),
                "normalization: the backward pass of the fused layer may run only once; its input was overwritten");
    TORCH_CHECK(layer.given.scale._version() == scale_version && z._version() == z_version,
                "normalization: the scale or the input was changed in place between forward and backward");
    const at::NoGradGuard no_grad;
    const at::Tensor error = errors[0].contiguous();
    const bool below = task_should_compute_output(0);
    if (below && !layer.given.workspace->exclusive(z)) z = z.clone();
    at::Tensor d_gamma = at::empty_like(layer.given.scale), d_beta = at::empty_like(layer.given.shift);
    layer.in_two_passes(
        [&](std::int64_t block, Sums& sums) {
          sum(block, sums, error, d_gamma.data_ptr<float>() + block * layer.lanes,
              d_beta.data_ptr<float>() + block * layer.lanes);
        },
        [&](std::int64_t block, const Sums& sums) {
          if (below) replace(block, sums, error);
        });
    if (below) result[0] = z;
    z.reset();
    if (task_should_compute_output(1)) result[1] = std::move(d_gamma);
    if (task_should_compute_output(2)) result[2] = std::move(d_beta);
    return result;
  }

  void release_variables() override { z.reset(); }
};

}  // namespace

bool fusable(const Normalization& layer) {
  const auto fits = [](const at::Tensor& x) {
    return x.is_cpu() && x.scalar_type() == at::kFloat && x.is_contiguous();
  };
  return fits(layer.scale) && fits(layer.shift) && fits(layer.mean) && fits(layer.variance) &&
         slope_of(layer.activation).has_value();
}

at::Tensor normalization(at::Tensor z, Normalization given) {
  const bool graph = at::GradMode::is_enabled();
  torch::autograd::edge_list edges;
  if (graph) edges = torch::autograd::collect_next_edges(z, given.scale, given.shift);
  at::Tensor input, value;
  Layer layer;
  std::vector<Channels> channels;
  {
    const at::NoGradGuard no_grad;
    input = z.detach().contiguous();
    z.reset();
    given.scale = given.scale.detach();
    given.shift = given.shift.detach();
    if (given.error.defined()) given.error = given.error.detach().contiguous();
    layer = {std::move(given), input.size(0), input.size(1), input.size(2), input.size(3), input.size(4), false};
    layer.together = layer.given.mean.numel() == 1;
    const bool in_place = !graph && layer.given.pool == 1 && layer.given.workspace->exclusive(input);
    value = in_place ? input : layer.given.workspace->take(layer.sizes_of_value(), at::kFloat);
    channels.resize(static_cast<std::size_t>(layer.blocks));
    layer.in_two_passes(
        [&](std::int64_t block, Sums& sums) {
          if (!layer.given.training) return;
          layer.each_map(block, input, value, [&](const Loops<float>::Map& map, const float*) {
            loops<float>().moments(map.values, layer.places(), layer.lanes, sums.first.data(), sums.second.data());
          });
        },
        [&](std::int64_t block, const Sums& sums) {
          Channels& all = channels[static_cast<std::size_t>(block)];
          all = channels_of(layer, block, sums);
          const Loops<float>::Line line = all.line(layer.given.activation);
          layer.each_map(block, input, value,
                         [&](const Loops<float>::Map& map, float* top) { loops<float>().normalize(map, line, top); });
        });
  }
  if (!graph) return value;
  const auto node = make_node<NormalizationNode>();
  node->set_next_edges(std::move(edges));
  node->layer = std::move(layer);
  node->channels = std::move(channels);
  node->z_version = input._version();
  node->scale_version = node->layer.given.scale._version();
  node->z = std::move(input);
  at::Tensor result = value.detach();
  torch::autograd::create_gradient_edge(result, node);
  return result;
}

}  // namespace grapes::kernels
