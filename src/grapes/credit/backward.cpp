#include "grapes/credit/backward.h"

#include "grapes/credit/modulation.h"
#include "grapes/credit/module_info.h"
#include "grapes/credit/scale.h"
#include "grapes/credit/uses.h"
#include "grapes/kernels/node.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <unordered_map>

namespace grapes {
namespace {

using credit::Layout;
using credit::ModuleInfo;
using credit::Use;
using torch::autograd::Node;
using State = Attachment::State;

/// Enables the hooks for the lifetime of this object.
class Running {
 public:
  explicit Running(credit::Pass& pass) : pass_(pass) { pass_.running = true; }
  ~Running() { pass_.running = false; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  credit::Pass& pass_;
};

}  // namespace

class Modulator::Impl {
 public:
  /// Remembers warnings, so that each is given only once.
  class Said {
   public:
    bool first_time(const std::string& sentence) {
      const std::lock_guard<std::mutex> lock(mutex_);
      return sentences_.insert(sentence).second;
    }

   private:
    std::mutex mutex_;
    std::set<std::string> sentences_;
  };

  Impl(std::vector<ModuleInfo> modules, BackwardOptions options, std::shared_ptr<Said> said)
      : options_(std::move(options)),
        rule_(credit::require_rule(options_.rule(), "backward")),
        row_(credit::modulation_of(rule_)),
        modules_(std::move(modules)),
        plans_(modules_.size()),
        said_(std::move(said)) {
    TORCH_CHECK(!modules_.empty(), "backward: the model must have a weight with at least two axes; got none");
    require_matches(modules_, options_.include(), "backward: include");
    require_matches(modules_, options_.exclude(), "backward: exclude");
    require_matches(modules_, options_.output(), "backward: output");
    require_matches(modules_, options_.local(), "backward: local");
    for (std::size_t l = 0; l < modules_.size(); ++l) {
      const ModuleInfo& module = modules_[l];
      attachments_.emplace_back().name = module.name;
      attachments_.back().reason = "no backward pass yet";
      plans_[l].excluded = row_.transform == nullptr || matches_any(module, options_.exclude()) ||
                           !(options_.include().empty() || matches_any(module, options_.include()));
      plans_[l].output = matches_any(module, options_.output());
      plans_[l].local = row_.local || matches_any(module, options_.local());
    }
  }

  void backward(const at::Tensor& loss, const at::Tensor& gradient, bool retain_graph) {
    TORCH_CHECK(loss.defined() && loss.grad_fn() != nullptr,
                "backward: the loss must depend on a parameter that requires a gradient; got a loss without a graph");
    ++pass_->number;
    match(*loss.grad_fn());
    attach();
    if (options_.warn()) warn();
    const Running running(*pass_);
    loss.backward(gradient, retain_graph);
    ++batch_;
  }

  const std::vector<Attachment>& attachments() const { return attachments_; }
  const Rule& rule() const { return rule_; }

 private:
  /// How the options treat one layer, and the uses of the layer in this graph.
  struct Plan {
    bool excluded = false, output = false, local = false;
    std::vector<Use> input, recurrent;
    struct Made {
      Layout layout;
      at::Tensor m;
      std::int64_t pass;
    };
    std::vector<Made> factors;  // one per layout: the units of a tied weight may lie along either axis
  };

  /// Finds the uses of each layer and decides how each is treated.
  void match(Node& root) {
    // Accumulators are looked up in each pass, because Module::to() gives a parameter a new one.
    credit::Sought sought;
    accumulators_.clear();
    const auto accumulator = [&](const at::Tensor& parameter) {
      accumulators_.push_back(torch::autograd::impl::grad_accumulator(parameter));
      return accumulators_.back().get();
    };
    const auto learns = [](const at::Tensor& parameter) { return parameter.defined() && parameter.requires_grad(); };
    const auto seek = [&](const at::Tensor& weight, const at::Tensor& bias, std::size_t number) {
      if (!weight.defined()) return;
      if (!weight.requires_grad()) {
        sought.frozen.emplace_back(weight, number);
        if (learns(bias)) sought.biases.emplace(accumulator(bias), number);
      } else if (weight.is_leaf()) {
        sought.learning.emplace(accumulator(weight), number);
      }
    };
    for (std::size_t l = 0; l < modules_.size(); ++l) {
      seek(modules_[l].weight, modules_[l].bias, 2 * l);
      seek(modules_[l].recurrent, modules_[l].recurrent_bias, 2 * l + 1);
      plans_[l].input.clear();
      plans_[l].recurrent.clear();
    }
    for (Use& use : credit::uses_of(root, sought)) {
      Plan& plan = plans_[use.weight / 2];
      (use.weight % 2 == 0 ? plan.input : plan.recurrent).push_back(std::move(use));
    }
    for (std::size_t l = 0; l < modules_.size(); ++l) {
      keep_what_counts(plans_[l].input);
      keep_what_counts(plans_[l].recurrent);
      decide(l);
    }
  }

  /// If a frozen weight is found, its bias belongs to the same use.
  static void keep_what_counts(std::vector<Use>& uses) {
    if (std::any_of(uses.begin(), uses.end(), [](const Use& use) { return use.at != nullptr; }))
      uses.erase(std::remove_if(uses.begin(), uses.end(), [](const Use& use) { return use.is_bias_alone(); }),
                 uses.end());
  }

  bool finds_output() const { return options_.include().empty() && options_.output().empty(); }

  void decide(std::size_t l) {
    const ModuleInfo& module = modules_[l];
    const Plan& plan = plans_[l];
    Attachment& attachment = attachments_[l];
    attachment.reason.clear();
    attachment.uses = static_cast<std::int64_t>(plan.input.size());
    attachment.state = State::excluded;
    if (plan.excluded) return;
    attachment.state = State::output;
    if (plan.output) return;

    attachment.state = State::unmatched;
    attachment.reason = module.unsupported_reason;
    if (!attachment.reason.empty()) return;
    std::string reason = "not used by this loss";
    bool output = false, beyond = false;
    const auto look = [&](const std::vector<Use>& uses) {
      for (const Use& use : uses) {
        if (use.unsupported_reason.empty()) {
          (use.output ? output : beyond) = true;
          continue;
        }
        reason = use.unsupported_reason;
        TORCH_CHECK(reason.find("DifferentiableGraph") == std::string::npos,
                    "backward: a TorchScript model must run without the graph optimizer, which fuses layers into one "
                    "node; got ",
                    attachment.name, " ", reason,
                    ". Call torch::jit::setGraphExecutorOptimize(false) before its first forward pass");
      }
    };
    look(plan.input);
    look(plan.recurrent);
    const bool found = std::any_of(plan.input.begin(), plan.input.end(),
                                   [](const Use& use) { return use.unsupported_reason.empty(); });
    if (!found) {
      if (plan.input.empty() && !module.weight.requires_grad())
        attachment.state = State::frozen;
      else
        attachment.reason = reason;
      return;
    }
    // Local layers and recurrent layers are either local in all of their uses or in none.
    const bool whole = plan.local || module.recurrent.defined();
    if (output && finds_output() && (whole || !beyond))
      attachment.state = State::output;
    else
      attachment.state = plan.local ? State::local : State::modulated;
  }

  void attach() {
    std::size_t number = 0;
    for (std::size_t l = 0; l < modules_.size(); ++l) {
      Attachment& attachment = attachments_[l];
      attachment.factor = at::Tensor();
      const bool local = attachment.state == State::local;
      if (!local && attachment.state != State::modulated) continue;
      const Plan& plan = plans_[l];
      if (local)
        scale_own(l, modules_[l].weight, plan.input, number);
      else
        scale_errors(l, modules_[l].weight, plan.input, number);
      // R y[t-1] takes the local version. Its error runs back in time and would be scaled at every step.
      if (rule_.compounding && !local)
        scale_errors(l, modules_[l].recurrent, plan.recurrent, number);
      else
        scale_own(l, modules_[l].recurrent, plan.recurrent, number);
      ++number;
    }
  }

  /// The propagating version.
  void scale_errors(std::size_t l, const at::Tensor& weight, const std::vector<Use>& uses, std::size_t number) {
    for (const Use& use : uses) {
      if (use.output && finds_output() && !modules_[l].recurrent.defined()) continue;
      if (use.at != nullptr)
        credit::scale_at(*use.at, pass_, attachments_[l].factor = factor(l, use.layout, number), &use.dim);
    }
    if (!uses.empty() && uses[0].is_bias_alone()) scale_own(l, weight, uses, number);
  }

  /// The local version: scales the gradients of a weight and its bias after they are summed over all uses.
  void scale_own(std::size_t l, const at::Tensor& weight, const std::vector<Use>& uses, std::size_t number) {
    std::set<Node*> done;
    const Use* first = nullptr;
    for (const Use& use : uses) {
      if (use.at == nullptr && !use.is_bias_alone()) continue;
      if (first == nullptr) first = &use;
      TORCH_CHECK(use.layout == first->layout,
                  "backward: a weight with the local version must have its units along the same axis in all uses; got "
                  "rows in one use "
                  "of ",
                  attachments_[l].name, " and columns in another");
      const at::Tensor& m = attachments_[l].factor = factor(l, use.layout, number);
      if (weight.requires_grad()) {
        Node* own = torch::autograd::impl::grad_accumulator(weight).get();
        if (done.insert(own).second) credit::scale_at(*own, pass_, credit::over_weight(m, weight, use.layout), nullptr);
      }
      if (use.bias != nullptr && done.insert(use.bias).second) credit::scale_at(*use.bias, pass_, m, nullptr);
    }
  }

  /// Computes the factor again in each pass that is due. The version counter cannot show that the weight is unchanged,
  /// because torch::optim::SGD writes through data(), which does not raise the version.
  const at::Tensor& factor(std::size_t l, const Layout& layout, std::size_t number) {
    std::vector<Plan::Made>& factors = plans_[l].factors;
    auto made = std::find_if(factors.begin(), factors.end(), [&](const auto& one) { return one.layout == layout; });
    if (made == factors.end()) made = factors.insert(made, {layout, {}, -1});
    const bool due = batch_ % rule_.every == 0 && made->pass != pass_->number;
    if (due || !made->m.defined()) {
      made->m = credit::layer_factor(modules_[l], layout, rule_, number, batch_);
      made->pass = pass_->number;
    }
    return made->m;
  }

  void warn() {
    std::string sentence;
    for (const Attachment& attachment : attachments_)
      if (attachment.state == State::unmatched)
        sentence += (sentence.empty() ? "" : ", ") + attachment.name + " (" + attachment.reason + ")";
    if (!sentence.empty() && said_->first_time(sentence))
      TORCH_WARN("grapes: these layers are not modulated and have plain gradients: ", sentence,
                 ". List them in `exclude` to silence this warning");
  }

  BackwardOptions options_;
  Rule rule_;
  const credit::Modulation& row_;
  std::vector<ModuleInfo> modules_;
  std::vector<Plan> plans_;
  std::vector<Attachment> attachments_;
  std::vector<kernels::NodePtr> accumulators_;
  std::shared_ptr<credit::Pass> pass_ = std::make_shared<credit::Pass>();
  std::int64_t batch_ = 0;
  std::shared_ptr<Said> said_;
};

Modulator::Modulator(const torch::nn::Module& model, BackwardOptions options)
    : impl_(std::make_unique<Impl>(credit::modules_of(model), std::move(options), std::make_shared<Impl::Said>())) {}
Modulator::Modulator(const torch::jit::Module& model, BackwardOptions options)
    : impl_(std::make_unique<Impl>(credit::modules_of(model), std::move(options), std::make_shared<Impl::Said>())) {}
Modulator::Modulator(const std::vector<std::pair<std::string, at::Tensor>>& model, BackwardOptions options)
    : impl_(std::make_unique<Impl>(credit::modules_of(model), std::move(options), std::make_shared<Impl::Said>())) {}
Modulator::~Modulator() = default;
Modulator::Modulator(Modulator&&) noexcept = default;
Modulator& Modulator::operator=(Modulator&&) noexcept = default;

void Modulator::backward(const at::Tensor& loss, const at::Tensor& gradient, bool retain_graph) {
  impl_->backward(loss, gradient, retain_graph);
}

const std::vector<Attachment>& Modulator::attachments() const { return impl_->attachments(); }

std::string Modulator::describe() const { return grapes::describe(impl_->rule(), attachments()); }

namespace {

void backward_once(const at::Tensor& loss, std::vector<ModuleInfo> modules, const BackwardOptions& options) {
  const bool draws = modulation_of(options.rule()).draws == credit::Modulation::Draws::every_batch;
  TORCH_CHECK(!draws && options.rule().every == 1,
              "backward: a rule that depends on earlier batches needs one grapes::Modulator for all batches; got ",
              draws ? "the modulation " + options.rule().modulation : "every > 1", " in a single call");
  static const auto said = std::make_shared<Modulator::Impl::Said>();
  Modulator::Impl(std::move(modules), options, said).backward(loss, {}, false);
}

}  // namespace

void backward(const at::Tensor& loss, const torch::nn::Module& model, const BackwardOptions& options) {
  backward_once(loss, credit::modules_of(model), options);
}
void backward(const at::Tensor& loss, const torch::jit::Module& model, const BackwardOptions& options) {
  backward_once(loss, credit::modules_of(model), options);
}

}  // namespace grapes
