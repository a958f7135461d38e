#include "grapes/nn/plan.h"

#include "grapes/base/table.h"
#include "grapes/nn/layer_kind.h"
#include "grapes/nn/network.h"
#include "grapes/nn/readout.h"
#include "grapes/nn/requirements.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

namespace grapes::nn {
namespace {

using Do = Stage::Do;

/// @throws UsageError if LibTorch does not find the device
at::TensorOptions placed(const Options& options) {
  const at::TensorOptions dtype = options.precision.dtype;
  if (options.device == "cpu") return dtype;
  try {
    const at::TensorOptions there = dtype.device(c10::Device(options.device));
    at::empty({1}, there);
    return there;
  } catch (const c10::Error&) {
    throw UsageError("device " + options.device + " is not available: LibTorch finds no such device on this machine");
  }
}

/// A spiking layer uses its own weights if the rule leaves responsibility to the route.
credit::Rule rule_of(const Options& options, const Stages& stages) {
  credit::Rule rule = options.rule;
  if (has_time(stages) && rule.responsibility == credit::Responsibility::by_route)
    rule.responsibility = credit::Responsibility::incoming;
  return credit::resolved(std::move(rule));
}

Map first_map(const Stages& stages, const std::vector<std::int64_t>& shape) {
  if (takes_maps(stages)) return {shape[0], shape[1], shape[2]};
  return {std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>())};
}

/// @param side  of a square that must fit into the map
void require_room(const Map& map, std::int64_t side, const char* what, const Model& model) {
  if (std::min(map.rows, map.columns) < side)
    throw UsageError(fmt::format("model '{}': the images are too small: a map of {} × {} is smaller than {} of {} × {}",
                                 to_string(model), map.rows, map.columns, what, side, side));
}

Map pooled(const Map& map, std::int64_t pool) {
  return pool == 0 ? Map{map.channels} : Map{map.channels, map.rows / pool, map.columns / pool};
}

StagePlan sizes_of(const Stage& stage, const Map& in, const Model& model) {
  switch (stage.what) {
    case Do::convolve:
    case Do::shortcut: {
      const std::int64_t reach = stage.dilation * (stage.kernel - 1) + 1;
      require_room(in, reach - 2 * stage.padding, "a kernel", model);
      if (in.channels % stage.groups != 0 || stage.units % stage.groups != 0)
        throw UsageError(fmt::format("model '{}': {} and {} channels cannot be divided into {} groups",
                                     to_string(model), in.channels, stage.units, stage.groups));
      const auto size = [&](std::int64_t n) { return (n + 2 * stage.padding - reach) / stage.stride + 1; };
      const Map map{stage.units, size(in.rows), size(in.columns)};
      if (stage.pool > 1) require_room(map, stage.pool, "a pooling window", model);
      return {in, pooled(map, stage.pool), map};
    }
    case Do::max_pool:
    case Do::average:
    case Do::sum:
      require_room(in, std::max<std::int64_t>(stage.pool, 1), "a pooling window", model);
      return {in, pooled(in, stage.pool), in};
    case Do::dense:
    case Do::spike:
      return {in, {stage.units}, {stage.units}};
    default:
      return {in, in, in};
  }
}

/// Sets the rows of tables that a layer is made from.
void choose_rows(StagePlan& one, const Stage& stage, const Options& options) {
  if (stage.what == Do::dense) {
    one.kind = &find_row(layer_kinds(), "kind of layer", options.analog ? "crossbar" : stage.kind);
    if (options.precision.bf16 && !one.kind->bf16)
      throw UsageError("precision bf16 is not supported by layers of the kind " + one.kind->name);
  }
  if (stage.what == Do::spike && !stage.activates)
    one.readout = &find_row(readouts(), "readout", options.spiking.readout);
}

std::vector<StagePlan> stage_plans(const Options& options, const Stages& stages, const Signature& signature) {
  std::vector<StagePlan> all;
  Map map = first_map(stages, signature.input_shape);
  std::vector<Map> kept;
  bool flat = false;
  int layer = 0;
  for (const Stage& stage : stages) {
    flat = flat || stage.what == Do::dense || stage.what == Do::spike;
    if (flat && stage.takes_map())
      throw UsageError("model '" + to_string(options.model) +
                       "': convolutions and pooling must come before dense layers");
    Map& through = stage.what == Do::shortcut ? kept.back() : map;
    StagePlan& one = all.emplace_back(sizes_of(stage, through, options.model));
    choose_rows(one, stage, options);
    through = one.out;
    if (stage.is_layer()) ++layer;
    if (stage.what == Do::dense && stage.activates)
      require_fan_in(options.fan_in, one.out.values(), one.in.values(), fmt::format("layers.{}", layer - 1));
    if (stage.what == Do::keep) kept.push_back(map);
    if (stage.what == Do::add) {
      if (!(kept.back() == map))
        throw UsageError(
            fmt::format("model '{}': 'add' adds a map of {} × {} × {} to one of {} × {} × {}: use 'skip' "
                        "to give the first one the size of the second",
                        to_string(options.model), kept.back().channels, kept.back().rows, kept.back().columns,
                        map.channels, map.rows, map.columns));
      kept.pop_back();
    }
  }
  return all;
}

void require_array(const AnalogOptions& options) {
  analog::device_of(*options.device);
  try {
    analog::check(array_options(options));
  } catch (const c10::Error& error) {
    throw UsageError(error.what_without_backtrace());
  }
}

}  // namespace

Plan plan(const Options& options, const Stages& stages, const Signature& signature) {
  Plan all;
  all.placed = placed(options);
  all.rule = rule_of(options, stages);
  all.route = &credit::route_of(all.rule);
  all.activation = &find_row(activations(), "activation", options.activation);
  require_possible(options, stages, signature, all.rule);
  if (options.analog) require_array(options.analog);
  if (has_time(stages)) {
    all.neurons = neurons_of(options.spiking);
    all.neurons.eprop(all.route->local_in_time);
    find_row(encoders(), "encoder", options.encoding.encoder);
  }
  all.stages = stage_plans(options, stages, signature);
  all.init = &find_row(initializers(), "initializer", options.init);
  std::string feedback = options.feedback_init;
  if (feedback == "auto") feedback = options.init == "he_uniform" ? "he_uniform" : "nokland";
  all.feedback_init = &find_row(initializers(), "initializer", feedback);
  return all;
}

}  // namespace grapes::nn
