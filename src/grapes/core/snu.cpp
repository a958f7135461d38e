#include "grapes/core/snu.h"

#include "grapes/kernels/snu.h"
#include "grapes/kernels/spikes.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace grapes {
namespace {

// Same order as in the enumerations.
constexpr std::array<std::string_view, 4> resets = {"hard", "subtract", "none", "lateral"};
constexpr std::array<std::string_view, 6> surrogates = {"tanh",   "sigmoid",    "fast_sigmoid",
                                                        "arctan", "triangular", "rectangular"};

template <class Enumeration, std::size_t count>
Enumeration named(const std::array<std::string_view, count>& names, const char* what, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  TORCH_CHECK(found != names.end(), "snu: unknown ", what, " '", name, "'");
  return static_cast<Enumeration>(found - names.begin());
}

void require(bool holds, const char* what, const at::Tensor& tensor, at::IntArrayRef shape) {
  TORCH_CHECK(holds && tensor.sizes() == shape, "snu: ", what, " must be ", shape, "; got ", tensor.sizes());
}

at::Tensor or_none(const OptionalTensor& tensor) { return tensor.has_value() ? *tensor : at::Tensor(); }

}  // namespace

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> snu(
    const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& recurrent, const at::Tensor& decay,
    const at::Tensor& threshold, const at::Tensor& membrane, const at::Tensor& output, const OptionalTensor& present,
    const OptionalTensor& m, bool local, bool compounding, const OptionalTensor& feedback, bool transport, double slope,
    bool smooth, const std::string& reset, const std::string& surrogate, double width, bool detach_reset,
    int64_t truncate, const OptionalTensor& current, double synapse, bool eprop) {
  TORCH_CHECK(weight.dim() == 2 && weight.device().is_cpu() &&
                  (weight.scalar_type() == at::kFloat || weight.scalar_type() == at::kDouble),
              "snu: weight must be [unit, in], float32 or float64, on the CPU; got ", weight.sizes(), ", ",
              weight.scalar_type());
  TORCH_CHECK(x.dim() == 3 && x.size(0) > 0 && x.size(2) == weight.size(1) && x.scalar_type() == weight.scalar_type(),
              "snu: x must be [time, batch, ", weight.size(1),
              "] with at least one time step, and have the weight's dtype; got ", x.sizes(), ", ", x.scalar_type());
  const int64_t batch = x.size(1), nodes = weight.size(0);
  kernels::Snu layer;
  layer.weight = weight;
  layer.recurrent = or_none(recurrent);
  layer.decay = decay;
  layer.threshold = threshold;
  layer.factor = or_none(m);
  if (layer.recurrent.defined()) require(true, "recurrent", layer.recurrent, {nodes, nodes});
  if (layer.factor.defined()) require(true, "factor", layer.factor, {nodes});
  require(true, "threshold", threshold, {nodes});
  TORCH_CHECK(decay.dim() == 1 && (decay.size(0) == 1 || decay.size(0) == nodes), "snu: decay must be [1] or [", nodes,
              "]; got ", decay.sizes());
  require(true, "membrane", membrane, {batch, nodes});
  require(true, "output", output, {batch, nodes});
  const at::Tensor runs = or_none(present);
  if (runs.defined()) require(runs.scalar_type() == at::kBool, "present", runs, {x.size(0), batch});
  layer.local = local;
  layer.compounding = compounding && !local;
  if (!transport) layer.path.to = kernels::ErrorPath::To::none;
  if (const at::Tensor B = or_none(feedback); B.defined()) {
    require(true, "feedback", B, {weight.size(1), nodes});
    layer.path = {kernels::ErrorPath::To::matrix, B};
  }
  layer.slope = slope;
  layer.smooth = smooth;
  layer.reset = named<kernels::Reset>(resets, "reset", reset);
  layer.surrogate = named<kernels::Surrogate>(surrogates, "surrogate", surrogate);
  TORCH_CHECK(width > 0 && slope >= 0 && truncate >= 0,
              "snu: width must be above 0; slope and truncate must be at least 0; got ", width, ", ", slope, ", ",
              truncate);
  layer.width = width;
  layer.detach_reset = detach_reset;
  layer.truncate = truncate;
  TORCH_CHECK(synapse >= 0 && synapse < 1 && (synapse > 0) == or_none(current).defined(),
              "snu: synapse must be at least 0 and below 1; if it is above 0, current must be given; got synapse ",
              synapse);
  if (synapse > 0) require(true, "current", *current, {batch, nodes});
  if (synapse > 0) layer.synapse = at::full({nodes}, synapse, weight.options().requires_grad(false));
  layer.eprop = eprop;
  layer.most_spikes = kernels::Spikes::worth;
  layer.workspace = std::make_shared<kernels::Workspace>();
  kernels::SnuValues values = kernels::snu(x, membrane, output, or_none(current), runs, layer);
  // A registered operation must return defined tensors.
  const at::Tensor none = at::empty({0}, weight.options().requires_grad(false));
  return {values.output, values.membrane, values.last, values.current.defined() ? values.current : none};
}

}  // namespace grapes
