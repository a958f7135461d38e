#include "grapes/credit/backward.h"

#include "grapes/base/table.h"
#include "grapes/credit/layers.h"
#include "grapes/credit/modulation.h"
#include "grapes/credit/scale.h"
#include "grapes/credit/uses.h"

#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <sstream>
#include <unordered_map>

namespace grapes {
namespace {

using credit::Layer;
using credit::Layout;
using credit::Use;
using torch::autograd::Node;
using State = Attachment::State;

/// Sentences that have been said, so that each is said once.
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

/// Lets the hooks act for as long as it lives.
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

credit::FactorOptions factor_options(const BackwardOptions& options) {
  return {options.modulation, options.constants,  options.gain,     options.low,
          options.high,       options.input_only, options.per_gate, options.seed};
}

std::string to_string(Attachment::State state) {
  switch (state) {
    case State::modulated:
      return "modulated";
    case State::local:
      return "local";
    case State::output:
      return "output";
    case State::excluded:
      return "excluded";
    case State::frozen:
      return "frozen";
    case State::unmatched:
      break;
  }
  return "unmatched";
}

class Modulator::Impl {
 public:
  Impl(const credit::Foreign& model, BackwardOptions options, std::shared_ptr<Said> said)
      : options_(std::move(options)),
        factor_options_(factor_options(options_)),
        row_(find_row(credit::modulations(), "modulation", options_.modulation)),
        layers_(credit::layers_of(model)),
        said_(std::move(said)) {
    TORCH_CHECK(!layers_.empty(), "backward: the model must have a weight with two axes or more; got ",
                model.parameters.size(), " parameters, none of them such a weight");
    TORCH_CHECK(options_.every >= 1, "backward: every must be 1 or more; got ", options_.every);
    TORCH_CHECK(options_.modulation != "constant" || !options_.constants.empty(),
                "backward: the modulation constant must have constants; got none");
    require_names(layers_, options_.include, "backward: include");
    require_names(layers_, options_.exclude, "backward: exclude");
    require_names(layers_, options_.local, "backward: local");
    for (const Layer& layer : layers_) {
      attachments_.emplace_back().name = name_of(layer);
      attachments_.back().why = "no backward pass yet";
    }
    plans_.resize(layers_.size());
  }

  void backward(const at::Tensor& loss, const at::Tensor& gradient, bool retain_graph) {
    TORCH_CHECK(loss.defined() && loss.grad_fn() != nullptr,
                "backward: the loss must come from parameters that learn; got one without a graph");
    ++pass_->number;
    match(*loss.grad_fn());
    attach();
    if (options_.warn) warn();
    const Running running(*pass_);
    loss.backward(gradient, retain_graph);
    ++batch_;
  }

  const std::vector<Attachment>& attachments() const { return attachments_; }

 private:
  /// The uses of one layer in this graph.
  struct Plan {
    std::vector<Use> input, recurrent;
    struct Made {
      Layout layout;
      at::Tensor m;
      std::int64_t pass;
    };
    std::vector<Made> factors;  // one per layout: a tied weight may have its nodes along either axis
  };

  /// Finds where each layer is used, and decides what becomes of it.
  void match(Node& root) {
    // Asked anew each time: Module::to() gives a parameter another accumulator.
    std::unordered_map<const Node*, std::size_t> sinks;
    accumulators_.clear();
    const auto keep = [&](const at::Tensor& weight, std::size_t number) {
      if (!weight.defined() || !weight.requires_grad() || !weight.is_leaf()) return;
      accumulators_.push_back(torch::autograd::impl::grad_accumulator(weight));
      sinks.emplace(accumulators_.back().get(), number);
    };
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      keep(layers_[l].weight, 2 * l);
      keep(layers_[l].recurrent, 2 * l + 1);
      plans_[l].input.clear();
      plans_[l].recurrent.clear();
    }
    for (Use& use : credit::uses_of(root, sinks)) {
      Plan& plan = plans_[use.weight / 2];
      (use.weight % 2 == 0 ? plan.input : plan.recurrent).push_back(std::move(use));
    }
    for (std::size_t l = 0; l < layers_.size(); ++l) decide(l);
  }

  void decide(std::size_t l) {
    const Layer& layer = layers_[l];
    Plan& plan = plans_[l];
    Attachment& attachment = attachments_[l];
    attachment.why.clear();
    attachment.uses = static_cast<std::int64_t>(plan.input.size());
    attachment.state = State::excluded;
    const bool wanted = options_.include.empty() || is_listed(layer, options_.include);
    if (!wanted || is_listed(layer, options_.exclude) || row_.transform == nullptr) return;
    attachment.state = State::frozen;
    if (!layer.weight.requires_grad()) return;

    attachment.state = State::unmatched;
    if (!layer.strange.empty()) {
      attachment.why = layer.strange;
      return;
    }
    std::string strange = "not used by this loss";
    bool output = false, beyond = false;
    const auto look = [&](const std::vector<Use>& uses) {
      for (const Use& use : uses) {
        if (use.at == nullptr) {
          strange = use.strange;
          TORCH_CHECK(strange.find("DifferentiableGraph") == std::string::npos,
                      "backward: a TorchScript model must run without the graph optimizer, which fuses layers into one "
                      "node; got ",
                      attachment.name, " ", strange,
                      ". Call torch::jit::setGraphExecutorOptimize(false) before its first forward pass");
        } else {
          (use.output ? output : beyond) = true;
        }
      }
    };
    look(plan.input);
    look(plan.recurrent);
    const bool found =
        std::any_of(plan.input.begin(), plan.input.end(), [](const Use& use) { return use.at != nullptr; });
    if (!found) {
      attachment.why = strange;
      return;
    }
    // By name even the output layer. What is local, or goes round in time, cannot be local in one of its uses only.
    const bool local = row_.local || is_listed(layer, options_.local);
    const bool whole = local || layer.recurrent.defined();
    if (output && options_.include.empty() && (whole || !beyond)) {
      attachment.state = State::output;
      return;
    }
    attachment.state = local ? State::local : State::modulated;
  }

  void attach() {
    std::size_t number = 0;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      Attachment& attachment = attachments_[l];
      attachment.factor = at::Tensor();
      const bool local = attachment.state == State::local;
      if (!local && attachment.state != State::modulated) continue;
      const Plan& plan = plans_[l];
      if (local)
        scale_own(l, layers_[l].weight, plan.input, number);
      else
        scale_errors(l, plan.input, number);
      // R y[t-1] takes the local version: its error goes back in time, and would be scaled anew at every step.
      if (options_.through_time && !local)
        scale_errors(l, plan.recurrent, number);
      else
        scale_own(l, layers_[l].recurrent, plan.recurrent, number);
      ++number;
    }
  }

  /// The propagating version.
  void scale_errors(std::size_t l, const std::vector<Use>& uses, std::size_t number) {
    for (const Use& use : uses)
      if (use.at != nullptr && !(use.output && options_.include.empty() && !layers_[l].recurrent.defined()))
        credit::scale_at(*use.at, pass_, attachments_[l].factor = factor(l, use.layout, number), &use.dim);
  }

  /// The local version: the gradients of a weight and its bias, where they arrive after all uses are summed.
  void scale_own(std::size_t l, const at::Tensor& weight, const std::vector<Use>& uses, std::size_t number) {
    std::set<Node*> done;
    const Use* first = nullptr;
    for (const Use& use : uses) {
      if (use.at == nullptr) continue;
      if (first == nullptr) first = &use;
      TORCH_CHECK(use.layout == first->layout,
                  "backward: a weight with the local version must have its nodes along one "
                  "axis; got rows in one use of ",
                  attachments_[l].name, " and columns in another");
      const at::Tensor& m = attachments_[l].factor = factor(l, use.layout, number);
      Node* own = torch::autograd::impl::grad_accumulator(weight).get();
      if (done.insert(own).second) credit::scale_at(*own, pass_, credit::over_weight(m, weight, use.layout), nullptr);
      if (use.bias != nullptr && done.insert(use.bias).second) credit::scale_at(*use.bias, pass_, m, nullptr);
    }
  }

  /// Anew in each due pass. A weight's version is no sign that it stands unchanged: torch::optim::SGD writes through
  /// data(), which leaves the version as it was.
  const at::Tensor& factor(std::size_t l, const Layout& layout, std::size_t number) {
    std::vector<Plan::Made>& factors = plans_[l].factors;
    auto made = std::find_if(factors.begin(), factors.end(), [&](const auto& one) { return one.layout == layout; });
    if (made == factors.end()) made = factors.insert(made, {layout, {}, -1});
    const bool due = batch_ % options_.every == 0 && made->pass != pass_->number;
    if (due || !made->m.defined()) {
      made->m = credit::layer_factor(layers_[l], layout, factor_options_, number, batch_);
      made->pass = pass_->number;
    }
    return made->m;
  }

  void warn() {
    std::string sentence;
    for (const Attachment& attachment : attachments_)
      if (attachment.state == State::unmatched)
        sentence += (sentence.empty() ? "" : ", ") + attachment.name + " (" + attachment.why + ")";
    if (!sentence.empty() && said_->first_time(sentence))
      TORCH_WARN("grapes: these weights are not modulated, their gradient is the plain one: ", sentence,
                 ". `exclude` says that this is meant");
  }

  BackwardOptions options_;
  credit::FactorOptions factor_options_;
  const credit::Modulation& row_;
  std::vector<Layer> layers_;
  std::vector<Plan> plans_;
  std::vector<Attachment> attachments_;
  std::vector<std::shared_ptr<Node>> accumulators_;
  std::shared_ptr<credit::Pass> pass_ = std::make_shared<credit::Pass>();
  std::int64_t batch_ = 0;
  std::shared_ptr<Said> said_;
};

Modulator::Modulator(const torch::nn::Module& model, BackwardOptions options)
    : impl_(std::make_unique<Impl>(credit::foreign(model), std::move(options), std::make_shared<Said>())) {}
Modulator::Modulator(const torch::jit::Module& model, BackwardOptions options)
    : impl_(std::make_unique<Impl>(credit::foreign(model), std::move(options), std::make_shared<Said>())) {}
Modulator::Modulator(const std::vector<std::pair<std::string, at::Tensor>>& model, BackwardOptions options)
    : impl_(std::make_unique<Impl>(credit::Foreign{model, {}, {}}, std::move(options), std::make_shared<Said>())) {}
Modulator::~Modulator() = default;
Modulator::Modulator(Modulator&&) noexcept = default;
Modulator& Modulator::operator=(Modulator&&) noexcept = default;

void Modulator::backward(const at::Tensor& loss, const at::Tensor& gradient, bool retain_graph) {
  impl_->backward(loss, gradient, retain_graph);
}

const std::vector<Attachment>& Modulator::attachments() const { return impl_->attachments(); }

std::string Modulator::describe() const {
  std::size_t width = 0;
  for (const Attachment& attachment : attachments()) width = std::max(width, attachment.name.size());
  std::ostringstream table;
  for (const Attachment& attachment : attachments()) {
    table << attachment.name << std::string(width - attachment.name.size() + 2, ' ') << to_string(attachment.state);
    if (!attachment.why.empty()) table << ": " << attachment.why;
    if (attachment.factor.defined()) {
      table << ", " << attachment.factor.size(0) << " factors from " << attachment.factor.min().item<double>() << " to "
            << attachment.factor.max().item<double>();
    }
    if (attachment.uses > 1) table << ", " << attachment.uses << " uses";
    table << "\n";
  }
  return table.str();
}

namespace {

void backward_once(const at::Tensor& loss, const credit::Foreign& model, const BackwardOptions& options) {
  TORCH_CHECK(options.modulation != "shuffled" && options.every == 1,
              "backward: what depends on earlier batches must be asked of one grapes::Modulator for all of them; got ",
              options.modulation == "shuffled" ? "the modulation shuffled" : "every > 1", " in a single call");
  static const auto said = std::make_shared<Said>();
  Modulator::Impl(model, options, said).backward(loss, {}, false);
}

}  // namespace

void backward(const at::Tensor& loss, const torch::nn::Module& model, const BackwardOptions& options) {
  backward_once(loss, credit::foreign(model), options);
}
void backward(const at::Tensor& loss, const torch::jit::Module& model, const BackwardOptions& options) {
  backward_once(loss, credit::foreign(model), options);
}

}  // namespace grapes
