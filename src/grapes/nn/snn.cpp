#include "grapes/nn/snn.h"

#include "grapes/base/table.h"
#include "grapes/core/responsibility.h"
#include "grapes/kernels/spikes.h"
#include "grapes/nn/init.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace grapes::nn {

SnuOptions neurons_of(const SpikingOptions& options) {
  SnuOptions neurons;
  neurons.rule = {options.g, "step", options.reset, options.surrogate, options.width, options.detach_reset};
  neurons.recurrent = options.recurrent;
  neurons.decay = options.decay;
  neurons.learn_decay = options.learn_decay;
  neurons.threshold = options.threshold;
  neurons.learn_threshold = options.learn_threshold;
  neurons.synapse = options.synapse;
  neurons.truncate = options.truncate;
  neurons.inputs = options.products;
  find_row(nn::neurons(), "neuron", options.neuron).decide(neurons);
  require_possible(neurons.rule);
  return neurons;
}

/// A layer of neurons as a block: [time, batch, in] -> [time, batch, node].
class Snn::Spiking final : public credit::Block {
 public:
  Spiking(SnuOptions options, bool compounding, kernels::WorkspacePtr workspace) {
    layer_.options = std::move(options);
    layer_.compounding = compounding;
    layer_.once = true;
    layer_.workspace = std::move(workspace);
  }

  void draw(std::int64_t nodes, std::uint64_t seed, std::size_t l, const Initializer& init,
            const at::TensorOptions& placed) {
    using Decay = SnuOptions::Decay;
    const SnuOptions& options = layer_.options;
    if (options.recurrent) {
      Random random(stream_seed(seed, "recurrent", l));
      recurrent = initialize(init, {nodes, nodes}, random, placed).requires_grad_();
    }
    decay = at::full({options.learn_decay == Decay::per_node ? nodes : 1}, options.decay, placed)
                .requires_grad_(options.learn_decay != Decay::fixed);
    threshold = at::full({nodes}, options.threshold, placed).requires_grad_(options.learn_threshold);
  }
  /// What comes next: `reads`, of the output layer, what the readout is of, in place of y; whether the trace is kept.
  void prepare(at::Tensor present, bool plain, const Readout* reads, bool keep) {
    present_ = std::move(present);
    plain_ = plain;
    reads_ = reads;
    keep_ = keep;
    trace_ = {};
  }
  /// Of the last pass, if it was kept.
  const SnuTrace& trace() const { return trace_; }

  at::Tensor forward(at::Tensor h, const credit::ErrorPath& path) const override {
    SnuLayer now = layer_;
    if (plain_ || rounding) now.options.path = SnuOptions::Path::plain;
    now.rounding = rounding;
    now.weight = rounding.weight(weight);
    if (recurrent.defined()) now.recurrent = rounding.of("recurrent").weight(recurrent);
    now.decay = decay;
    now.threshold = threshold;
    now.path = path;
    now.local = factors.rows.defined();
    now.factor = now.local ? factors.rows : factors.error;
    SnuState rest = at_rest(now, h.size(1));
    SnuTrace trace = run(now, std::move(h), std::move(rest), present_);
    if (keep_) trace_ = trace;
    return reads_ != nullptr && reads_->membrane ? trace.membrane : trace.output;
  }
  // Routes that take a layer apart are refused before they come here.
  at::Tensor affine(const at::Tensor&) const override { return refuse(); }
  at::Tensor activation(const at::Tensor&) const override { return refuse(); }
  at::Tensor dropout(const at::Tensor&) const override { return refuse(); }

  at::Tensor recurrent, decay, threshold;

 private:
  static at::Tensor refuse() { TORCH_CHECK(false, "a spiking layer cannot be taken apart"); }

  SnuLayer layer_;
  at::Tensor present_;
  bool plain_ = false;
  const Readout* reads_ = nullptr;
  bool keep_ = false;
  mutable SnuTrace trace_;
};

/// The same dense layer at every step.
class Snn::Stepwise final : public credit::Block {
 public:
  explicit Stepwise(kernels::WorkspacePtr workspace) : dense_(nullptr, std::move(workspace)) {}
  void prepare(bool plain) {
    dense_.weight = weight;
    dense_.bias = bias;
    dense_.rounding = rounding;
    dense_.prepare({{}, 0, plain});
  }
  at::Tensor forward(at::Tensor h, const credit::ErrorPath& path) const override {
    const auto flat = [](const at::Tensor& x) { return x.flatten(0, 1); };
    return dense_.forward(flat(h), path).view({h.size(0), h.size(1), -1});
  }
  at::Tensor affine(const at::Tensor& h) const override { return dense_.affine(h); }
  at::Tensor activation(const at::Tensor& z) const override { return z; }
  at::Tensor dropout(const at::Tensor& h) const override { return h; }

 private:
  Dense dense_;
};

Snn::Snn(const Options& options, std::vector<std::int64_t> nodes, const Signature& signature, std::uint64_t seed)
    : Chain(options), nodes_(std::move(nodes)), signature_(signature), neurons_(neurons_of(options.spiking)) {
  if (route_.upwards())
    throw UsageError("route " + route_.name +
                     " runs upwards through a layer's inside: there is no such thing for spiking networks");
  if (precision_.bf16) throw UsageError("precision bf16 is not there for spiking networks");
  if (precision_.activations)
    throw UsageError("precision: activations are not rounded in spiking networks, where a spike is a bit");
  if (options.dropout > 0) throw UsageError("dropout is not there for spiking networks");
  if (options.bias && !signature.each_step) throw UsageError("bias: spiking layers have none");
  using credit::Responsibility;
  if (options.rule.responsibility == Responsibility::by_route) rule_.responsibility = Responsibility::incoming;
  if (rule_.responsibility == Responsibility::synaptic)
    throw UsageError("responsibility synaptic is not there for spiking networks: use incoming or outgoing");
  find_row(readouts(), "readout", options.spiking.readout);
  find_row(encoders(), "encoder", options.encoding.encoder);
  neurons_.eprop = route_.local_in_time;

  const Initializer& init = find_row(initializers(), "initializer", options.init);
  const auto workspace = std::make_shared<kernels::Workspace>();
  const std::size_t spiking = nodes_.size() - (signature.each_step ? 2 : 1);
  for (std::size_t l = 1; l <= spiking; ++l) {
    SnuOptions layer = neurons_;
    layer.recurrent = neurons_.recurrent && l + 1 < nodes_.size();  // outputs do not feed each other
    spiking_.push_back(std::make_unique<Spiking>(layer, rule_.compounding, workspace));
    add(*spiking_.back(), seed, {nodes_[l], nodes_[l - 1]});
    spiking_.back()->draw(nodes_[l], seed, l, init, placed_);
    at::Tensor& R = spiking_.back()->recurrent;
    if (R.defined()) R = held(R.detach()).requires_grad_();
  }
  if (signature.each_step) {
    output_ = std::make_unique<Stepwise>(workspace);
    add(*output_, seed, {nodes_.back(), nodes_[nodes_.size() - 2]});
    if (options.bias) output_->bias = at::zeros({nodes_.back()}, placed_).requires_grad_();
  }
  complete(seed, {nodes_.begin() + 1, nodes_.end()});
}

Snn::~Snn() = default;

at::Tensor Snn::timed(const at::Tensor& inputs, const Pass& pass) const {
  const bool here = placed_.device().is_cpu();  // where spikes can be bits
  if (signature_.sequence && kernels::is_packed(inputs)) {
    const at::Tensor bits = inputs.transpose(0, 1).contiguous();
    return here ? bits : kernels::unpack(bits, nodes_.front(), dtype()).to(placed_);
  }
  if (signature_.sequence) return inputs.flatten(2).to(placed_).transpose(0, 1).contiguous();
  const bool packed = here && neurons_.inputs != SnuOptions::Inputs::dense;
  const at::Tensor steps = encode(inputs.flatten(1).to(dtype()), options_.encoding,
                                  stream_seed(pass.seed, pass.training ? "encoder" : "encoder in evaluation",
                                              static_cast<std::uint64_t>(pass.step)),
                                  packed);
  return here ? steps : steps.to(placed_);
}

void Snn::refresh_factors(const Pass& pass) {
  if (!stale(pass)) return;
  const at::NoGradGuard no_grad;
  credit::Weights weights;
  const std::vector<Named> parameters = this->parameters();
  const auto named = [&](std::size_t l, const char* name) {
    for (std::size_t i = 0; i < parameters.size(); ++i)
      if (parameters[i].name == fmt::format("layers.{}.{}", l, name))
        return pass.factor_weights.empty() ? parameters[i].value.detach() : pass.factor_weights[i];
    return at::Tensor();
  };
  for (std::size_t l = 0; l < blocks_.size(); ++l) {
    weights.layers.push_back(named(l, "weight"));
    const at::Tensor R = named(l, "recurrent");
    // What arrives from a node's own layer counts too.
    const bool both = R.defined() && rule_.responsibility == credit::Responsibility::incoming;
    weights.incoming.push_back(both ? responsibility(weights.layers.back(), OptionalTensor(R), 0) : at::Tensor());
  }
  refresh(pass, weights);
}

at::Tensor Snn::forward(const at::Tensor& inputs, const Pass& pass) {
  const at::AutoGradMode graph(pass.training && at::GradMode::is_enabled());
  if (pass.present.defined() && !signature_.sequence) throw UsageError("pictures have no steps that could be missing");
  const at::Tensor present = pass.present.defined() ? pass.present.t().contiguous().to(placed_.device()) : at::Tensor();
  const Readout& readout = find_row(readouts(), "readout", options_.spiking.readout);
  // A graph would outlive its step; what is seen in evaluation is kept for activity().
  for (const auto& layer : spiking_) {
    const bool answers = !output_ && layer == spiking_.back();
    layer->prepare(present, pass.plain, answers ? &readout : nullptr, !pass.training);
  }
  prepare_rounding(pass);
  if (output_) output_->prepare(pass.plain);
  if (pass.training) {
    refresh_factors(pass);
    for (std::size_t l = 0; l + 1 < blocks_.size(); ++l) spiking_[l]->factors = factors_[l];
  }
  const at::Tensor x = timed(inputs, pass);
  const at::Tensor value = rounded_error(credit::forward(route_, blocks_, x), 2);  // [time, batch, node]
  shown_ = pass.training ? at::Tensor() : x;
  return output_ ? value.transpose(0, 1) : readout.reduce(value, present);
}

at::Tensor Snn::shown() const {
  return shown_.defined() && kernels::is_packed(shown_) ? kernels::unpack(shown_, nodes_.front(), dtype()) : shown_;
}

std::vector<Named> Snn::parameters() const {
  std::vector<Named> all;
  for (std::size_t l = 0; l < blocks_.size(); ++l) {
    const auto named = [&](const char* name, const at::Tensor& value) {
      if (value.defined() && value.requires_grad()) all.push_back({fmt::format("layers.{}.{}", l, name), value});
    };
    named("weight", blocks_[l]->weight);
    all.back().storage = storage_[l];
    named("bias", blocks_[l]->bias);
    if (l >= spiking_.size()) continue;
    named("recurrent", spiking_[l]->recurrent);
    if (spiking_[l]->recurrent.defined()) all.back().storage = storage_[l];
    named("decay", spiking_[l]->decay);
    named("threshold", spiking_[l]->threshold);
  }
  return all;
}

std::vector<Activity> Snn::activity() const {
  std::vector<Activity> all;
  for (const auto& layer : spiking_) {
    const SnuTrace& trace = layer->trace();
    if (!trace.output.defined()) return {};
    const at::Tensor rates = trace.output.mean(at::IntArrayRef({0, 1}));
    all.push_back({trace.output, trace.membrane, rates.mean().item<double>(),
                   rates.lt(Activity::silent_below).to(at::kDouble).mean().item<double>(),
                   rates.gt(Activity::saturated_above).to(at::kDouble).mean().item<double>()});
  }
  return all;
}

std::vector<LayerShape> Snn::shapes(std::int64_t steps) const {
  if (!signature_.sequence) steps = options_.encoding.steps;
  std::vector<LayerShape> all = Chain::shapes(steps);
  for (std::size_t l = 0; l < all.size(); ++l) {
    LayerShape& shape = all[l];
    shape.spikes = l < spiking_.size();
    shape.synapse = shape.spikes && neurons_of(options_.spiking).synapse > 0;
    if (shape.spikes && spiking_[l]->recurrent.defined()) shape.recurrent = spiking_[l]->recurrent.sizes().vec();
    shape.others = 0;
    for (const Named& parameter : parameters())
      if (parameter.name.starts_with(shape.name + ".") && parameter.value.dim() < 2)
        shape.others += parameter.value.numel();
    shape.positions = steps;
    shape.inputs *= steps;
    shape.values *= steps;
  }
  return all;
}

std::string Snn::describe() const {
  const Encoding& shown = options_.encoding;
  const std::string input = signature_.sequence ? "sequences" : fmt::format("{}, {} steps", shown.encoder, shown.steps);
  std::string text = fmt::format("{:<12}{:>16}{:>12}  {}\n", "layer", "weight", "parameters", "then");
  std::int64_t total = 0;
  std::size_t next = 0;
  const std::vector<Named> parameters = this->parameters();
  for (std::size_t l = 0; l < blocks_.size(); ++l) {
    std::int64_t count = 0;
    const std::string name = fmt::format("layers.{}", l);
    for (; next < parameters.size() && parameters[next].name.starts_with(name + "."); ++next)
      count += parameters[next].value.numel();
    total += count;
    std::string then = "output at every step";
    if (l < spiking_.size()) {
      then = options_.spiking.neuron + (spiking_[l]->recurrent.defined() ? ", recurrent" : "");
      if (l + 1 == blocks_.size()) then += ", " + options_.spiking.readout;
    }
    text +=
        fmt::format("{:<12}{:>16}{:>12}  {}\n", name, fmt::format("{} × {}", nodes_[l + 1], nodes_[l]), count, then);
  }
  return text + fmt::format("{:<12}{:>16}{:>12}  {}\n", "in all", "", total, input);
}

}  // namespace grapes::nn
