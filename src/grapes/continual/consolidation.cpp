#include "grapes/base/random.h"
#include "grapes/continual/method.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cmath>
#include <utility>

namespace grapes::continual {
namespace {

/// Penalty on changes of weights: the gradient of (s/2) Σ_i Ω_i (θ_i - a_i)². It is added to the gradient that the
/// update rule sees, and it is never modulated, because it comes from the weight itself and not from an error at a
/// unit.
class Consolidation : public Method {
 public:
  Consolidation(const MethodContext& context, double strength) : Method(context), strength_(strength) {
    for (const nn::Named& parameter : context.model.parameters()) {
      weights_.push_back(parameter.value);
      importance_.push_back(at::zeros_like(parameter.value.detach()));
      pull_.push_back(at::zeros_like(parameter.value.detach()));
    }
  }

  void begin(std::int64_t task) override { holds_ = task > 0; }
  bool needs_gradients() const override { return holds_; }

  void before_update(const TaskBatch&) override {
    if (!holds_) return;
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < weights_.size(); ++i)
      if (at::Tensor g = weights_[i].grad(); g.defined())
        g.addcmul_(importance_[i], weights_[i], strength_).sub_(pull_[i], strength_);
  }

  std::vector<State> state() override {
    std::vector<State> all;
    add(all, "importance", importance_);
    add(all, "pull", pull_);
    return all;
  }

 protected:
  static void add(std::vector<State>& all, const char* name, const std::vector<at::Tensor>& tensors) {
    for (std::size_t i = 0; i < tensors.size(); ++i) all.push_back({fmt::format("{}.{}", name, i), tensors[i]});
  }

  double strength_;
  bool holds_ = false;                  // whether there was an earlier task
  std::vector<at::Tensor> weights_;     // θ, not copies
  std::vector<at::Tensor> importance_;  // Ω
  std::vector<at::Tensor> pull_;        // Ω a
};

/// One penalty (λ/2) Σ F_k (θ - θ_k)² for every task k so far (Kirkpatrick et al. 2017, equation 3). Together they
/// equal one penalty with Ω = Σ_k F_k and Ω a = Σ_k F_k θ_k, up to a constant. F_k is the diagonal of the Fisher
/// information of the network in evaluation mode: the mean over examples of the squared gradient of log p(class | x,
/// θ_k), with the class drawn from p. With the examples' own classes, each is weighted by its p, as in the program
/// Mammoth. For a loss that is not a log-likelihood, the gradient of the loss at the true class is used.
class Ewc : public Consolidation {
 public:
  explicit Ewc(const MethodContext& context) : Consolidation(context, context.options.ewc_strength) {}

  void end(std::int64_t task) override {
    const std::vector<at::Tensor> F = fisher(task);
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < F.size(); ++i) {
      importance_[i].add_(F[i]);
      pull_[i].addcmul_(F[i], weights_[i].detach());
    }
  }

 protected:
  std::vector<at::Tensor> fisher(std::int64_t task) const {
    const std::unique_ptr<nn::Network> plain = plain_copy(context_);
    const std::vector<nn::Named> parameters = plain->parameters();
    std::vector<at::Tensor> fisher;
    for (const nn::Named& parameter : parameters) fisher.push_back(at::zeros_like(parameter.value.detach()));

    const data::Dataset& examples = *context_.scenario.tasks[static_cast<std::size_t>(task)].plain;
    Random random(stream_seed(context_.seed, "fisher", static_cast<std::uint64_t>(task)));
    const std::vector<std::int64_t> order = permutation(examples.size(), random);
    const std::int64_t given = context_.options.fisher_examples,
                       count = given > 0 ? std::min(given, examples.size()) : examples.size();
    for (std::int64_t k = 0; k < count; ++k) {
      const data::Batch one = examples.get(at::tensor({order[static_cast<std::size_t>(k)]}, at::kLong));
      const Targets targets = [&](const at::Tensor& answers) { return target(answers, one.targets, random); };
      const at::Tensor loss = evaluated_loss(context_, *plain, task, one, k, targets);
      const double weight = own_classes() ? std::exp(-loss.item<double>()) : 1;
      loss.backward();
      const at::NoGradGuard no_grad;
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        at::Tensor leaf = parameters[i].value;
        if (leaf.grad().defined()) fisher[i].addcmul_(leaf.grad(), leaf.grad(), weight);
        leaf.mutable_grad().reset();
      }
    }
    for (const at::Tensor& one : fisher) one.div_(static_cast<double>(count));
    return fisher;
  }

 private:
  bool likelihood() const { return context_.criterion.name() == "cross-entropy"; }
  bool own_classes() const { return likelihood() && context_.options.fisher_classes == "true"; }

  /// @param logits  [1, answers]
  at::Tensor target(const at::Tensor& logits, const at::Tensor& truth, Random& random) const {
    if (!likelihood() || own_classes()) return truth;
    const at::Tensor p = context_.criterion.prediction(logits).cpu().to(at::kDouble).contiguous();
    double left = random.uniform();
    std::int64_t drawn = 0;
    for (; drawn + 1 < p.size(1); ++drawn)
      if ((left -= p.data_ptr<double>()[drawn]) < 0) break;
    return at::tensor({drawn}, at::kLong);
  }
};

/// One penalty (λ/2) Σ Ω (θ - θ_k)² for the last task k, with Ω ← γ Ω + F_k (Schwarz et al. 2018, equation 9).
class OnlineEwc final : public Ewc {
 public:
  using Ewc::Ewc;

  void end(std::int64_t task) override {
    const std::vector<at::Tensor> F = fisher(task);
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < F.size(); ++i) {
      importance_[i].mul_(context_.options.ewc_decay).add_(F[i]);
      at::mul_out(pull_[i], importance_[i], weights_[i].detach());
    }
  }
};

/// Ω_i = Σ_k max(0, ω_i^k) / ((θ_i - θ_i at the start of the task)² + ξ), with ω_i = -Σ g_i Δθ_i over the task's
/// updates, and the penalty c Σ Ω_i (θ_i - θ_i at its end)² (Zenke et al. 2017, equations 4 and 5). g is the gradient
/// that the update rule saw, modulated if the rule modulates, without the penalty's gradient.
class Si final : public Consolidation {
 public:
  explicit Si(const MethodContext& context) : Consolidation(context, 2 * context.options.si_strength) {
    for (const at::Tensor& w : weights_) {
      way_.push_back(at::zeros_like(w.detach()));
      start_.push_back(w.detach().clone());
      before_.push_back(at::empty_like(w.detach()));
      seen_.push_back(at::zeros_like(w.detach()));
    }
  }

  bool needs_gradients() const override { return true; }

  void before_update(const TaskBatch& batch) override {
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      before_[i].copy_(weights_[i]);
      if (weights_[i].grad().defined()) seen_[i].copy_(weights_[i].grad());
    }
    Consolidation::before_update(batch);
  }

  void after_update(const TaskBatch&, const at::Tensor&) override {
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < weights_.size(); ++i)
      way_[i].addcmul_(seen_[i], before_[i].sub_(weights_[i]));  // -g Δθ
  }

  void end(std::int64_t) override {
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      const at::Tensor w = weights_[i].detach();
      importance_[i].add_(way_[i].clamp_min(0) / ((w - start_[i]).square() + context_.options.si_damping));
      pull_[i].copy_(importance_[i] * w);
      start_[i].copy_(w);
      way_[i].zero_();
    }
  }

  std::vector<State> state() override {
    std::vector<State> all = Consolidation::state();
    add(all, "way", way_);
    add(all, "start", start_);
    return all;
  }

 private:
  std::vector<at::Tensor> way_;            // ω of the current task
  std::vector<at::Tensor> start_;          // θ at its start
  std::vector<at::Tensor> before_, seen_;  // θ and g of the current update
};

}  // namespace

std::unique_ptr<Method> make_ewc(const MethodContext& context) { return std::make_unique<Ewc>(context); }
std::unique_ptr<Method> make_online_ewc(const MethodContext& context) { return std::make_unique<OnlineEwc>(context); }
std::unique_ptr<Method> make_si(const MethodContext& context) { return std::make_unique<Si>(context); }

}  // namespace grapes::continual
