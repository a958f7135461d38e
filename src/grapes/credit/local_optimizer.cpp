#include "grapes/credit/local_optimizer.h"

#include "grapes/credit/modulation.h"
#include "grapes/credit/module_info.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/optim/optimizer.h>
#include <torch/serialize/archive.h>

#include <unordered_map>
#include <utility>

namespace grapes {

using credit::ModuleInfo;
using State = Attachment::State;

class LocalOptimizer::Impl {
 public:
  Impl(torch::optim::Optimizer& optimizer, std::vector<ModuleInfo> modules, const LocalOptimizerOptions& options)
      : optimizer_(optimizer),
        rule_(credit::require_rule(options.rule(), "local optimizer")),
        modules_(std::move(modules)),
        factors_(modules_.size()) {
    require_matches(modules_, options.include(), "local optimizer: include");
    require_matches(modules_, options.exclude(), "local optimizer: exclude");
    require_matches(modules_, options.output(), "local optimizer: output");
    const bool none = credit::modulation_of(rule_).transform == nullptr;
    for (const ModuleInfo& module : modules_) {
      Attachment& attachment = attachments_.emplace_back();
      attachment.name = module.name;
      attachment.reason = module.unsupported_reason;
      const bool wanted = options.include().empty() || matches_any(module, options.include());
      const bool learns = module.weight.requires_grad() || (module.bias.defined() && module.bias.requires_grad());
      attachment.state = none || !wanted || matches_any(module, options.exclude()) ? State::excluded
                         : matches_any(module, options.output())                   ? State::output
                         : !attachment.reason.empty()                              ? State::unmatched
                         : !learns                                                 ? State::frozen
                                                                                   : State::local;
      if (attachment.state != State::unmatched) attachment.reason.clear();
    }
    // Look only at weights that can be modulated. A frozen or excluded weight can still be the output layer.
    if (options.include().empty() && options.output().empty())
      for (std::size_t l = modules_.size(); l-- > 0;)
        if (modules_[l].unsupported_reason.empty()) {
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
        restore();  // a closure that accumulates gradients must add to the unscaled ones
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
  const Rule& rule() const { return rule_; }

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
                "local optimizer: the archive must be saved by a LocalOptimizer; got one without an entry 'layers'");
    TORCH_CHECK(layers.toStringRef() == names(), "local optimizer: the archive must be saved for the layers ", names(),
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
  /// Restores the unscaled gradients, even if the optimizer throws.
  struct Restored {
    explicit Restored(Impl& impl) : impl(impl) {}
    ~Restored() { impl.restore(); }
    Restored(const Restored&) = delete;
    Restored& operator=(const Restored&) = delete;
    Impl& impl;
  };

  std::string names() const {
    std::string all;
    for (std::size_t l = 0; l < modules_.size(); ++l)
      if (attachments_[l].state == State::local) all += (all.empty() ? "" : ", ") + attachments_[l].name;
    return all;
  }

  void scale() {
    std::size_t number = 0;
    for (std::size_t l = 0; l < modules_.size(); ++l) {
      if (attachments_[l].state != State::local) continue;
      const ModuleInfo& module = modules_[l];
      at::Tensor& m = factors_[l];
      if (!m.defined() || steps_ % rule_.every == 0)
        m = credit::layer_factor(module, module.layout, rule_, number, steps_);
      attachments_[l].factor = m;
      scale(module.weight, credit::over_weight(m, module.weight, module.layout));
      scale(module.bias, m);
      if (module.recurrent.defined()) scale(module.recurrent, credit::over_weight(m, module.recurrent, module.layout));
      scale(module.recurrent_bias, m);
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
  Rule rule_;
  std::vector<ModuleInfo> modules_;
  std::vector<Attachment> attachments_;
  std::vector<at::Tensor> factors_;
  std::vector<std::pair<at::Tensor, at::Tensor>>
      plain_;  // parameters and their unscaled gradients, while the scaled ones are in use
  std::unordered_map<const void*, at::Tensor>
      scaled_;  // scaled gradients, kept because new memory costs more than the product
  std::int64_t steps_ = 0;
};

LocalOptimizer::LocalOptimizer(torch::optim::Optimizer& optimizer, const torch::nn::Module& model,
                               LocalOptimizerOptions options)
    : impl_(std::make_unique<Impl>(optimizer, credit::modules_of(model), options)) {}
LocalOptimizer::LocalOptimizer(torch::optim::Optimizer& optimizer, const torch::jit::Module& model,
                               LocalOptimizerOptions options)
    : impl_(std::make_unique<Impl>(optimizer, credit::modules_of(model), options)) {}
LocalOptimizer::~LocalOptimizer() = default;

at::Tensor LocalOptimizer::step(const std::function<at::Tensor()>& closure) { return impl_->step(closure); }
void LocalOptimizer::zero_grad() { impl_->zero_grad(); }
const std::vector<Attachment>& LocalOptimizer::attachments() const { return impl_->attachments(); }
std::string LocalOptimizer::describe() const { return grapes::describe(impl_->rule(), attachments()); }
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
