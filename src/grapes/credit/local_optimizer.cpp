#include "grapes/credit/local_optimizer.h"

#include "grapes/base/table.h"
#include "grapes/credit/layers.h"
#include "grapes/credit/modulation.h"

#include <torch/torch.h>

#include <unordered_map>
#include <utility>

namespace grapes {

using credit::Layer;
using State = Attachment::State;

class LocalOptimizer::Impl {
 public:
  Impl(torch::optim::Optimizer& optimizer, const credit::Foreign& model, BackwardOptions options)
      : optimizer_(optimizer),
        options_(std::move(options)),
        factor_options_(factor_options(options_)),
        layers_(credit::layers_of(model)) {
    const credit::Modulation& row = find_row(credit::modulations(), "modulation", options_.modulation);
    TORCH_CHECK(options_.every >= 1, "local optimizer: every must be 1 or more; got ", options_.every);
    TORCH_CHECK(
        options_.local.empty() && !options_.through_time,
        "local optimizer: every layer is local here, so local and through_time must be left alone; got one set");
    TORCH_CHECK(options_.modulation != "constant" || !options_.constants.empty(),
                "local optimizer: the modulation constant must have constants; got none");
    require_names(layers_, options_.include, "local optimizer: include");
    require_names(layers_, options_.exclude, "local optimizer: exclude");
    factors_.resize(layers_.size());
    for (const Layer& layer : layers_) {
      Attachment& attachment = attachments_.emplace_back();
      attachment.name = name_of(layer);
      const bool wanted = options_.include.empty() || is_listed(layer, options_.include);
      attachment.state = !wanted || is_listed(layer, options_.exclude) || row.transform == nullptr ? State::excluded
                         : !layer.weight.requires_grad()                                           ? State::frozen
                         : !layer.strange.empty()                                                  ? State::unmatched
                                                                                                   : State::local;
      if (attachment.state == State::unmatched) attachment.why = layer.strange;
    }
    // Of the weights that are layers at all; one that is frozen or left out by name is the output layer all the same.
    if (options_.include.empty())
      for (std::size_t l = layers_.size(); l-- > 0;)
        if (layers_[l].strange.empty()) {
          if (attachments_[l].state == State::local) attachments_[l].state = State::output;
          break;
        }
  }

  at::Tensor step(const std::function<at::Tensor()>& closure) {
    const Restored restored(*this);
    at::Tensor result;
    if (closure == nullptr) {
      scale();
      result = optimizer_.step();
    } else {
      result = optimizer_.step([&] {
        restore();  // a closure that adds to gradients must add to the plain ones
        at::Tensor loss = closure();
        scale();
        return loss;
      });
    }
    ++steps_;
    return result;
  }

  void zero_grad() { optimizer_.zero_grad(); }
  const std::vector<Attachment>& attachments() const { return attachments_; }

  void save(torch::serialize::OutputArchive& archive) const {
    torch::serialize::OutputArchive own(archive.compilation_unit());
    optimizer_.save(own);
    archive.write("optimizer", own);
    archive.write("layers", c10::IValue(names()));
    archive.write("steps", c10::IValue(steps_));
    for (std::size_t l = 0; l < factors_.size(); ++l)
      if (factors_[l].defined()) archive.write("factor" + std::to_string(l), factors_[l], true);
  }

  void load(torch::serialize::InputArchive& archive) {
    c10::IValue layers, steps;
    TORCH_CHECK(archive.try_read("layers", layers) && layers.isString() && archive.try_read("steps", steps),
                "local optimizer: the archive must be one that a LocalOptimizer saved; got one without its layers");
    TORCH_CHECK(layers.toStringRef() == names(), "local optimizer: the archive must be of the layers ", names(),
                "; got ", layers.toStringRef());
    torch::serialize::InputArchive own;
    archive.read("optimizer", own);
    optimizer_.load(own);
    steps_ = steps.toInt();
    for (std::size_t l = 0; l < factors_.size(); ++l) {
      factors_[l] = at::Tensor();
      archive.try_read("factor" + std::to_string(l), factors_[l], true);
    }
  }

 private:
  /// Puts the plain gradients back, whatever the optimizer throws.
  struct Restored {
    explicit Restored(Impl& impl) : impl(impl) {}
    ~Restored() { impl.restore(); }
    Restored(const Restored&) = delete;
    Restored& operator=(const Restored&) = delete;
    Impl& impl;
  };

  std::string names() const {
    std::string all;
    for (std::size_t l = 0; l < layers_.size(); ++l)
      if (attachments_[l].state == State::local) all += (all.empty() ? "" : ", ") + attachments_[l].name;
    return all;
  }

  void scale() {
    std::size_t number = 0;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      if (attachments_[l].state != State::local) continue;
      const Layer& layer = layers_[l];
      at::Tensor& m = factors_[l];
      if (!m.defined() || steps_ % options_.every == 0)
        m = credit::layer_factor(layer, layer.layout, factor_options_, number, steps_);
      attachments_[l].factor = m;
      scale(layer.weight, credit::over_weight(m, layer.weight, layer.layout));
      scale(layer.bias, m);
      if (layer.recurrent.defined()) scale(layer.recurrent, credit::over_weight(m, layer.recurrent, layer.layout));
      scale(layer.recurrent_bias, m);
      ++number;
    }
  }

  void scale(const at::Tensor& parameter, const at::Tensor& by) {
    if (!parameter.defined() || !parameter.grad().defined()) return;
    const at::NoGradGuard no_grad;
    plain_.emplace_back(parameter, parameter.grad());
    at::Tensor& scaled = scaled_[parameter.unsafeGetTensorImpl()];
    const at::Tensor& gradient = plain_.back().second;
    if (!scaled.defined() || scaled.sizes() != gradient.sizes() || scaled.scalar_type() != gradient.scalar_type() ||
        scaled.device() != gradient.device())
      scaled = gradient * by;
    else
      at::mul_out(scaled, gradient, by);
    parameter.mutable_grad() = scaled;
  }

  void restore() {
    for (auto& [parameter, gradient] : plain_) parameter.mutable_grad() = gradient;
    plain_.clear();
  }

  torch::optim::Optimizer& optimizer_;
  BackwardOptions options_;
  credit::FactorOptions factor_options_;
  std::vector<Layer> layers_;
  std::vector<Attachment> attachments_;
  std::vector<at::Tensor> factors_;
  std::vector<std::pair<at::Tensor, at::Tensor>>
      plain_;  // parameters and their own gradients, while scaled ones stand in
  std::unordered_map<const void*, at::Tensor> scaled_;  // those; kept, for fresh memory costs more than the product
  std::int64_t steps_ = 0;
};

LocalOptimizer::LocalOptimizer(torch::optim::Optimizer& optimizer, const torch::nn::Module& model,
                               BackwardOptions options)
    : impl_(std::make_unique<Impl>(optimizer, credit::foreign(model), std::move(options))) {}
LocalOptimizer::LocalOptimizer(torch::optim::Optimizer& optimizer, const torch::jit::Module& model,
                               BackwardOptions options)
    : impl_(std::make_unique<Impl>(optimizer, credit::foreign(model), std::move(options))) {}
LocalOptimizer::~LocalOptimizer() = default;

at::Tensor LocalOptimizer::step(const std::function<at::Tensor()>& closure) { return impl_->step(closure); }
void LocalOptimizer::zero_grad() { impl_->zero_grad(); }
const std::vector<Attachment>& LocalOptimizer::attachments() const { return impl_->attachments(); }
void LocalOptimizer::save(torch::serialize::OutputArchive& archive) const { impl_->save(archive); }
void LocalOptimizer::load(torch::serialize::InputArchive& archive) { impl_->load(archive); }

torch::serialize::OutputArchive& operator<<(torch::serialize::OutputArchive& archive, const LocalOptimizer& optimizer) {
  optimizer.save(archive);
  return archive;
}
torch::serialize::InputArchive& operator>>(torch::serialize::InputArchive& archive, LocalOptimizer& optimizer) {
  optimizer.load(archive);
  return archive;
}

}  // namespace grapes
