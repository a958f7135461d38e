#include "grapes/nn/layers.h"

#include "grapes/base/table.h"
#include "grapes/core/attach.h"
#include "grapes/core/feedback.h"
#include "grapes/core/modulate.h"
#include "grapes/core/responsibility.h"
#include "grapes/credit/modulation.h"
#include "grapes/credit/route.h"
#include "grapes/kernels/gemm.h"
#include "grapes/nn/conv2d.h"
#include "grapes/nn/linear.h"

#include <ATen/core/grad_mode.h>
#include <torch/nn/init.h>

#include <cmath>
#include <utility>

namespace grapes::nn {
namespace {

/// Initializes as torch::nn does.
void draw(at::Tensor& weight, at::Tensor& bias) {
  torch::nn::init::kaiming_uniform_(weight, std::sqrt(5.0));
  if (!bias.defined()) return;
  const double bound = 1 / std::sqrt(static_cast<double>(weight[0].numel()));
  torch::nn::init::uniform_(bias, -bound, bound);
}

/// For a graph that may run backward twice.
template <class Fused, class... Arguments>
std::shared_ptr<Layer> fused(Arguments&&... arguments) {
  auto layer = std::make_shared<Fused>(std::forward<Arguments>(arguments)..., std::make_shared<kernels::Workspace>());
  layer->once = false;
  return layer;
}

}  // namespace

Routed::Routed(Rule rule, std::string kind)
    : rule_(credit::resolved(std::move(rule))), route_(&credit::route_of(rule_)), kind_(std::move(kind)) {
  using credit::Responsibility;
  credit::require_of_layer(rule_, "grapes::nn::" + kind_);
  TORCH_CHECK(!route_->upwards(), "grapes::nn::", kind_, ": route ", rule_.route,
              " sends the error upward through a network; it is not supported for a single layer");
  if (rule_.responsibility == Responsibility::synaptic) rule_.responsibility = Responsibility::incoming;
  TORCH_CHECK(rule_.responsibility != Responsibility::outgoing, "grapes::nn::", kind_,
              ": responsibility must be incoming or input, because a single layer does not know the next layer's "
              "weights; got outgoing");
}

at::Tensor feedback_weights(at::IntArrayRef shape, std::int64_t units) {
  const double bound = 1 / std::sqrt(static_cast<double>(units));
  return torch::empty(shape).uniform_(-bound, bound);
}

at::Tensor Routed::drawn_feedback(at::IntArrayRef shape, std::int64_t units) {
  using credit::FeedbackWeights;
  units_ = units;
  if (route_->feedback != credit::Feedback::above) return {};
  const at::Tensor B = feedback_weights(shape, units);
  if (route_->weights == FeedbackWeights::scale) return credit::magnitude(B);
  return route_->weights == FeedbackWeights::learned ? B.requires_grad_() : B;
}

at::Tensor Routed::mirrored() const {
  return route_->weights == credit::FeedbackWeights::learned ? mirror(weight, feedback) : weight;
}

ErrorPath Routed::down() const { return route_->down(weight, feedback); }

at::Tensor Routed::factor() const { return factor(at::Tensor()); }

at::Tensor Routed::factor(const at::Tensor& recurrent) const {
  if (credit::modulation_of(rule_).transform == nullptr) return {};
  const at::NoGradGuard no_grad;
  const bool both = recurrent.defined() && rule_.responsibility == credit::Responsibility::incoming;
  Random random(stream_seed(rule_.seed, "shuffled", credit::drawn_batch(rule_, batch_), 0));
  try {
    return credit::factor_of(responsibility(weight, both ? OptionalTensor(recurrent) : OptionalTensor(), 0, {},
                                            rule_.reduction == credit::Reduction::mean),
                             rule_, 0, random);
  } catch (const c10::ValueError& error) {
    TORCH_CHECK_VALUE(false, "grapes::nn::", kind_, ": ", error.what_without_backtrace());
  }
}

at::Tensor Routed::next_factor(const at::Tensor& recurrent) {
  if (!at::GradMode::is_enabled()) return {};
  if (route_->weights == credit::FeedbackWeights::redrawn) {
    const double bound = 1 / std::sqrt(static_cast<double>(units_));
    const at::NoGradGuard no_grad;
    feedback.uniform_(-bound, bound);
  }
  if (batch_ % rule_.every == 0) factor_ = factor(recurrent);
  ++batch_;
  return factor_;
}

credit::Factors Routed::factors(const at::Tensor& m) const {
  return credit::modulation_of(rule_).local ? credit::Factors{{}, m, {}} : credit::Factors{m, {}, {}};
}

at::Tensor Routed::through(Layer& layer, const at::Tensor& x, const at::Tensor& m, std::int64_t axis) const {
  const ErrorPath path = down();
  layer.weight = mirrored();
  layer.bias = bias;
  layer.factors = factors(m);
  // A fused layer is one node of the graph. A layer that scales no error does not profit from it. It stays LibTorch's
  // own operation, which grapes::backward() recognizes. The same holds for a frozen layer.
  Pass pass;
  pass.training = true;
  pass.plain = !layer.factors.error.defined() || !weight.requires_grad();
  layer.prepare(pass, 0);
  // Without a fused node, a hook scales the error. Unlike the view that modulate() returns, it allows an in-place
  // activation after the layer. feedback() returns a view too, so its error must be scaled before it.
  const bool hooked = layer.factors.error.defined() && path.to != ErrorPath::To::matrix && !layer.fuses(x);
  if (hooked) layer.factors.error.reset();
  at::Tensor z = layer.forward(x, path);
  if (hooked) attach(z, m, axis < 0 ? axis + z.dim() : axis);
  return z;
}

LinearImpl::LinearImpl(const torch::nn::LinearOptions& options, Rule rule)
    : Routed(std::move(rule), "Linear"), options_(options) {
  reset();
}

void LinearImpl::reset() {
  const std::int64_t in = options_.in_features(), out = options_.out_features();
  weight = register_parameter("weight", torch::empty({out, in}));
  bias = register_parameter("bias", options_.bias() ? torch::empty({out}) : at::Tensor(), options_.bias());
  draw(weight, bias);
  add_feedback(*this, {in, out}, out);
  layer_ = fused<LinearLayer>(nullptr, 0);
}

at::Tensor LinearImpl::forward(const at::Tensor& x) {
  TORCH_CHECK(x.dim() > 0 && x.size(-1) == options_.in_features(), "grapes::nn::Linear: x must be [..., ",
              options_.in_features(), "]; got ", x.sizes());
  const kernels::BlasProducts bits_of_libtorch;  // the value equals that of torch::nn::Linear
  return through(*layer_, x, next_factor(), -1);
}

Conv2dImpl::Conv2dImpl(const torch::nn::Conv2dOptions& options, Rule rule)
    : Routed(std::move(rule), "Conv2d"), options_(options) {
  reset();
}

void Conv2dImpl::reset() {
  const std::int64_t in = options_.in_channels(), out = options_.out_channels(), groups = options_.groups();
  // Unqualified, for argument-dependent lookup: the variant is c10's in LibTorch 1.13 and the standard library's in
  // 2.x.
  const auto* padding = get_if<torch::ExpandingArray<2>>(&options_.padding());
  TORCH_CHECK(padding != nullptr && get_if<torch::enumtype::kZeros>(&options_.padding_mode()) != nullptr,
              "grapes::nn::Conv2d: padding must be given as numbers, and the padding mode must be zeros");
  TORCH_CHECK(groups > 0 && in % groups == 0 && out % groups == 0,
              "grapes::nn::Conv2d: channels must be divisible by groups; got ", in, " to ", out, " in ", groups);
  const torch::ExpandingArray<2>& kernel = options_.kernel_size();
  const std::vector<std::int64_t> shape = {out, in / groups, kernel->at(0), kernel->at(1)};
  weight = register_parameter("weight", torch::empty(shape));
  bias = register_parameter("bias", options_.bias() ? torch::empty({out}) : at::Tensor(), options_.bias());
  draw(weight, bias);
  add_feedback(*this, shape, out / groups * kernel->at(0) * kernel->at(1));
  const auto sides = [](const torch::ExpandingArray<2>& two) { return at::IntArrayRef(*two).vec(); };
  layer_ = fused<Conv2dLayer>(
      Conv2dLayer::Shape{sides(options_.stride()), sides(*padding), sides(options_.dilation()), groups, 1}, nullptr);
}

at::Tensor Conv2dImpl::forward(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 4 && x.size(1) == options_.in_channels(), "grapes::nn::Conv2d: x must be [batch, ",
              options_.in_channels(), ", height, width]; got ", x.sizes());
  return kernels::unblocked(through(*layer_, x, next_factor(), 1));
}

RecurrentImpl::RecurrentImpl(std::int64_t in, std::int64_t nodes, Rule rule)
    : Routed(std::move(rule), "Recurrent"), in_(in), nodes_(nodes) {
  reset();
}

void RecurrentImpl::reset() {
  weight = register_parameter("weight", torch::empty({nodes_, in_}));
  recurrent = register_parameter("recurrent", torch::empty({nodes_, nodes_}));
  bias = register_parameter("bias", torch::empty({nodes_}));
  const double bound = 1 / std::sqrt(static_cast<double>(nodes_));  // as torch::nn::RNN
  for (at::Tensor* parameter : {&weight, &recurrent, &bias}) torch::nn::init::uniform_(*parameter, -bound, bound);
  add_feedback(*this, {in_, nodes_}, nodes_);
  current_ = fused<LinearLayer>(nullptr, 0);
}

at::Tensor RecurrentImpl::forward(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 3 && x.size(0) > 0 && x.size(2) == in_, "grapes::nn::Recurrent: x must be [time, batch, ", in_,
              "], with at least one time step; got ", x.sizes());
  const at::Tensor m = next_factor(recurrent);
  // With compounding, m scales the error at the whole pre-activation, which includes the error from R. Otherwise only
  // R's gradient is scaled.
  const bool compounds = m.defined() && rule().compounding && !credit::modulation_of(rule()).local;
  const at::Tensor current = through(*current_, x, compounds ? at::Tensor() : m, -1);  // all time steps in one product
  const at::Tensor R = (m.defined() && !compounds ? modulate(recurrent, m, 0) : recurrent).t();
  std::vector<at::Tensor> outputs;
  at::Tensor y;
  for (const at::Tensor& c : current.unbind()) {
    const at::Tensor a = y.defined() ? at::addmm(c, route().local_in_time ? y.detach() : y, R) : c;
    y = (compounds ? modulate(a, m) : a).tanh();
    outputs.push_back(y);
  }
  return at::stack(outputs);
}

DirectFeedbackImpl::DirectFeedbackImpl(std::vector<std::int64_t> sizes, std::int64_t outputs)
    : sizes_(std::move(sizes)), outputs_(outputs) {
  reset();
}

void DirectFeedbackImpl::reset() {
  feedback_.clear();
  for (std::size_t l = 0; l < sizes_.size(); ++l)
    feedback_.push_back(
        register_buffer("feedback" + std::to_string(l), feedback_weights({sizes_[l], outputs_}, outputs_)));
}

at::Tensor DirectFeedbackImpl::forward(at::Tensor logits, const std::vector<at::Tensor>& hidden) {
  TORCH_CHECK(hidden.size() == feedback_.size(), "grapes::nn::DirectFeedback: ", feedback_.size(),
              " hidden activations are expected; got ", hidden.size());
  for (std::size_t l = 0; l < hidden.size(); ++l) logits = grapes::feedback(logits, hidden[l].flatten(1), feedback_[l]);
  return logits;
}

}  // namespace grapes::nn
