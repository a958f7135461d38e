#include "grapes/nn/snu.h"

#include "grapes/credit/route.h"
#include "grapes/kernels/workspace.h"
#include "grapes/nn/snu_layer.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>

#include <cmath>
#include <utility>

namespace grapes::nn {
namespace {

/// Registers the constants of the options with a module that has members of their names. A synaptic decay that is not
/// learned stays a number, see synapse_of().
template <class Module>
void register_constants(Module& module, std::int64_t nodes, const SnuOptions& options) {
  SnuLayer made(options, false, nullptr);
  made.add_constants(nodes, at::TensorOptions(), false);
  for (const auto& [name, to, from] : {std::tuple{"decay", &module.decay, made.decay},
                                       {"threshold", &module.threshold, made.threshold},
                                       {"synapse", &module.synapse, made.synapse},
                                       {"reset_value", &module.reset_value, made.reset_value},
                                       {"adaptation", &module.adaptation, made.adaptation},
                                       {"adaptation_decay", &module.adaptation_decay, made.adaptation_decay}}) {
    *to = at::Tensor();
    if (!from.defined() || (to == &module.synapse && !from.requires_grad())) continue;
    *to = from.requires_grad() ? module.register_parameter(name, from.detach()) : module.register_buffer(name, from);
  }
}

/// The synaptic decay in the dtype of the threshold; undefined without one.
at::Tensor synapse_of(const at::Tensor& own, const SnuOptions& options, const at::Tensor& threshold) {
  if (own.defined() || options.synapse() == 0) return own;
  return at::full({1}, options.synapse(), threshold.options().requires_grad(false));
}

}  // namespace

SnuImpl::SnuImpl(std::int64_t in, std::int64_t nodes, SnuOptions options, Rule rule)
    : Routed(std::move(rule), "Snu"), in_(in), nodes_(nodes), options_(std::move(options)) {
  require_possible(options_);
  TORCH_CHECK(in > 0 && nodes > 0, "grapes::nn::Snu: inputs and units must be above 0; got ", in, " and ", nodes);
  TORCH_CHECK(options_.truncate() >= 0, "grapes::nn::Snu: truncate must be at least 0; got ", options_.truncate());
  reset();
}

void SnuImpl::reset() {
  weight = register_parameter("weight", torch::empty({nodes_, in_}));
  const double bound = 1 / std::sqrt(static_cast<double>(options_.recurrent() ? nodes_ : in_));
  torch::nn::init::uniform_(weight, -bound, bound);
  recurrent = at::Tensor();
  if (options_.recurrent()) {
    recurrent = register_parameter("recurrent", torch::empty({nodes_, nodes_}));
    torch::nn::init::uniform_(recurrent, -bound, bound);
  }
  bias = at::Tensor();
  if (options_.bias()) bias = register_parameter("bias", torch::zeros({nodes_}));
  register_constants(*this, nodes_, options_);
  add_feedback(*this, {in_, nodes_}, nodes_);
  reset_state();
  SnuOptions options = options_;
  options.eprop(options.eprop() || route().local_in_time);
  layer_ = std::make_shared<SnuLayer>(std::move(options), rule().compounding, std::make_shared<kernels::Workspace>());
  layer_->weight = weight;
  layer_->bias = bias;
  layer_->recurrent = recurrent;
  layer_->decay = decay;
  layer_->threshold = threshold;
  layer_->reset_value = reset_value;
  layer_->adaptation = adaptation;
  layer_->adaptation_decay = adaptation_decay;
}

SnuTrace SnuImpl::run(const at::Tensor& x, SnuState state, const at::Tensor& present) {
  TORCH_CHECK(x.dim() == 3 && x.size(0) > 0 && x.size(2) == in_, "grapes::nn::Snu: x must be [time, batch, ", in_,
              "], with at least one time step; got ", x.sizes());
  TORCH_CHECK(x.scalar_type() == weight.scalar_type(), "grapes::nn::Snu: x must have the weight's dtype, ",
              weight.scalar_type(), "; got ", x.scalar_type());
  const std::int64_t batch = x.size(1);
  TORCH_CHECK(!present.defined() || (present.scalar_type() == at::kBool && present.dim() == 2 &&
                                     present.size(0) == x.size(0) && present.size(1) == batch),
              "grapes::nn::Snu: present must be bool [time, batch] for x of shape ", x.sizes(), "; got ",
              present.defined() ? present.sizes() : at::IntArrayRef());
  if (options_.stateful() && !state.membrane.defined()) state = carried_;
  for (const at::Tensor* part : {&state.membrane, &state.output, &state.current})
    TORCH_CHECK(!part->defined() || part->sizes() == at::IntArrayRef({batch, nodes_}),
                "grapes::nn::Snu: the state must be [", batch, ", ", nodes_, "]; got ", part->sizes(),
                options_.stateful() ? "; call reset_state() to start with another batch size" : "");
  layer_->weight = mirrored();
  layer_->synapse = synapse_of(synapse, options_, threshold);
  layer_->factors = factors(next_factor(recurrent));
  const SnuTrace trace = layer_->run(x, std::move(state), present, down());
  if (options_.stateful()) carried_ = trace.last.detach();
  return trace;
}

NeuronsImpl::NeuronsImpl(std::int64_t nodes, SnuOptions options) : nodes_(nodes), options_(std::move(options)) {
  require_possible(options_);
  TORCH_CHECK(nodes > 0, "grapes::nn::Neurons: units must be above 0; got ", nodes);
  TORCH_CHECK(!options_.recurrent() && !options_.bias(),
              "grapes::nn::Neurons: recurrent and bias need a layer with weights; use grapes::nn::Snu");
  reset();
}

void NeuronsImpl::reset() {
  register_constants(*this, nodes_, options_);
  reset_state();
  workspace_ = std::make_shared<kernels::Workspace>();
}

SnuTrace NeuronsImpl::run(const at::Tensor& current, const at::Tensor& present) {
  TORCH_CHECK(current.dim() >= 3 && current.size(0) > 0 && current.size(2) == nodes_,
              "grapes::nn::Neurons: the current must be [time, batch, ", nodes_,
              ", ...], with at least one time step; got ", current.sizes());
  SnuLayer layer(options_, false, workspace_);
  layer.decay = decay;
  layer.threshold = threshold;
  layer.synapse = synapse_of(synapse, options_, threshold);
  layer.reset_value = reset_value;
  layer.adaptation = adaptation;
  layer.adaptation_decay = adaptation_decay;
  const at::IntArrayRef state = carried_.membrane.defined() ? carried_.membrane.sizes() : at::IntArrayRef();
  const std::int64_t values = current.numel() / (current.size(0) * current.size(1));
  TORCH_CHECK(state.empty() || state == at::IntArrayRef({current.size(1), values}),
              "grapes::nn::Neurons: the batch or the map changed between calls; call reset_state() first");
  SnuTrace trace = layer.on_map(current, carried_, present);
  if (options_.stateful()) carried_ = trace.last.detach();
  return trace;
}

}  // namespace grapes::nn
