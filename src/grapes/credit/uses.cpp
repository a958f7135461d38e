#include "grapes/credit/uses.h"

#include "grapes/core/saved_operands.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/generated/Functions.h>

#include <optional>
#include <typeinfo>
#include <utility>

namespace grapes::credit {
namespace {

using torch::autograd::Node;

/// Kinds of nodes.
enum class Kind {
  other,
  sink,
  t,
  transpose,
  permute,
  cast,
  reshape,
  expand,
  add,
  addmm,
  mm,
  mv,
  linear,
  convolution,
  script
};

/// The names are LibTorch's and have not changed since 1.13, without the number of the overload: 2.13 has another one
/// of squeeze() in Linear.
Kind kind_by_name(std::string name) {
  static const std::unordered_map<std::string, Kind> kinds = {{"torch::autograd::AccumulateGrad", Kind::sink},
                                                              {"TBackward", Kind::t},
                                                              {"TransposeBackward", Kind::transpose},
                                                              {"PermuteBackward", Kind::permute},
                                                              {"ToCopyBackward", Kind::cast},
                                                              {"ViewBackward", Kind::reshape},
                                                              {"UnsafeViewBackward", Kind::reshape},
                                                              {"ReshapeAliasBackward", Kind::reshape},
                                                              {"UnsqueezeBackward", Kind::reshape},
                                                              {"ExpandBackward", Kind::expand},
                                                              {"SqueezeBackward", Kind::reshape},
                                                              {"AddBackward", Kind::add},
                                                              {"AddmmBackward", Kind::addmm},
                                                              {"MmBackward", Kind::mm},
                                                              {"MvBackward", Kind::mv},
                                                              {"LinearBackward", Kind::linear},
                                                              {"ConvolutionBackward", Kind::convolution}};
  name.erase(name.find_last_not_of("0123456789") + 1);
  if (const auto found = kinds.find(name); found != kinds.end()) return found->second;
  return name.find("DifferentiableGraphBackward") != std::string::npos ? Kind::script : Kind::other;
}

/// Node::name() creates a string and demangles some, so it is called once per type.
Kind kind_of(const Node& node) {
  thread_local std::unordered_map<const std::type_info*, Kind> known;
  const std::type_info* type = &typeid(node);
  const auto found = known.find(type);
  if (found != known.end()) return found->second;
  return known[type] = kind_by_name(node.name());
}

/// Returns how often this node transposes a matrix, or nothing if it does something else.
std::optional<int> transpositions(const Node& node, Kind kind) {
  namespace generated = torch::autograd::generated;
  if (kind == Kind::cast) return 0;
  if (kind == Kind::t) return 1;
  if (kind == Kind::transpose) {
    const auto* transpose = dynamic_cast<const generated::TransposeBackward0*>(&node);
    if (transpose != nullptr) return transpose->dim0 == transpose->dim1 ? 0 : 1;
  }
  if (kind == Kind::permute) {
    const auto* permute = dynamic_cast<const generated::PermuteBackward0*>(&node);
    if (permute != nullptr && permute->dims.size() == 2) return (permute->dims[0] & 1) == 0 ? 0 : 1;
  }
  return std::nullopt;
}

/// int64_t in LibTorch 1.13, SymInt later.
template <class Integer>
std::int64_t number(const Integer& groups) {
  if constexpr (std::is_convertible_v<Integer, std::int64_t>)
    return static_cast<std::int64_t>(groups);
  else
    return groups.guard_int(__FILE__, __LINE__);
}

class Walk {
 public:
  explicit Walk(const Sought& sought) : sought_(sought) {}

  std::vector<Use> from(Node& root) {
    arrive(root, stack_);
    // First visit the nodes that the loss reaches without crossing a use. The uses found there are the output layers.
    descend(true);
    std::swap(stack_, beyond_);
    descend(false);
    for (Use& use : uses_) take_bias(use);
    return std::move(uses_);
  }

 private:
  /// A weight as an operand, and the number of transpositions on the way.
  struct Operand {
    std::size_t weight;
    int transposed;
  };

  void descend(bool output) {
    while (!stack_.empty()) {
      Node& node = *stack_.back();
      stack_.pop_back();
      if (!std::exchange(met_[&node].visited, true)) visit(node, output);
    }
  }

  void arrive(Node& node, std::vector<Node*>& by) {
    Met& met = met_[&node];
    ++met.parents;
    if (!met.visited) by.push_back(&node);
  }

  void visit(Node& node, bool output) {
    const Kind kind = kind_of(node);
    if (kind == Kind::sink) return;
    const std::size_t before = uses_.size();
    for (std::size_t i = 0; i < node.next_edges().size(); ++i) {
      Node* next = node.next_edges()[i].function.get();
      if (next == nullptr) continue;
      if (const auto operand = weight_behind(*next)) uses_.push_back(use(node, kind, i, *operand, output));
    }
    if (!sought_.frozen.empty()) look_for_frozen(node, kind, output);
    bool supported = false;
    for (std::size_t u = before; u < uses_.size(); ++u) {
      // A product of two weights has no units.
      if (uses_.size() > before + 1 && uses_[u].at != nullptr) {
        uses_[u].at = nullptr;
        uses_[u].unsupported_reason = "multiplied by another weight in " + node.name();
      }
      supported |= uses_[u].at != nullptr;
    }
    if (kind == Kind::add) note_bias(node);
    for (const auto& edge : node.next_edges()) {
      Node* next = edge.function.get();
      if (next == nullptr || weight_behind(*next)) continue;
      arrive(*next, output && supported ? beyond_ : stack_);
    }
  }

  /// Finds uses of frozen weights, or of their biases alone, in this node.
  void look_for_frozen(Node& node, Kind kind, bool output) {
    const std::size_t before = uses_.size();
    const bool product = kind == Kind::addmm || kind == Kind::mm || kind == Kind::mv;
    if (product || kind == Kind::linear || kind == Kind::convolution)
      for (const SavedOperand& saved : saved_operands(node))
        for (const auto& [weight, number] : sought_.frozen)
          if (const auto transposed = transpositions_of(weight, saved.value))
            uses_.push_back(use(node, kind, saved.edge, {number, *transposed}, output));
    if (uses_.size() > before || sought_.biases.empty()) return;
    for (const auto& edge : node.next_edges()) {
      Node* bias = parameter_behind(edge.function.get());
      const auto found = bias == nullptr ? sought_.biases.end() : sought_.biases.find(bias);
      if (found == sought_.biases.end()) continue;
      Use alone;
      alone.weight = found->second;
      alone.bias = bias;
      alone.output = output;
      uses_.push_back(alone);
    }
  }

  std::optional<Operand> weight_behind(Node& node) const {
    const Node* at = &node;
    int transposed = 0;
    for (;;) {
      const Kind kind = kind_of(*at);
      if (kind == Kind::sink) {
        const auto found = sought_.learning.find(at);
        return found == sought_.learning.end() ? std::nullopt : std::optional<Operand>({found->second, transposed});
      }
      const auto more = transpositions(*at, kind);
      if (!more || at->next_edges().size() != 1 || at->next_edge(0).function == nullptr) return std::nullopt;
      transposed += *more;
      at = at->next_edge(0).function.get();
    }
  }

  static Use use(Node& node, Kind kind, std::size_t edge, const Operand& operand, bool output) {
    Use found;
    found.weight = operand.weight;
    found.output = output;
    const bool odd = operand.transposed % 2 != 0;
    const std::size_t first = kind == Kind::addmm ? 1 : 0;  // addmm(bias, A, B), mm(A, B), mv(A, b)
    const bool product = kind == Kind::addmm || kind == Kind::mm || kind == Kind::mv;
    if (product && edge == first) {
      // W x: the units are rows of the product.
      found.at = &node;
      found.dim = kind == Kind::mv ? -1 : -2;
      found.layout.axis = odd ? 1 : 0;
    } else if (product && edge == first + 1 && kind != Kind::mv) {
      // x Wᵀ: the units are columns of the product.
      found.at = &node;
      found.layout.axis = odd ? 0 : 1;
    } else if (kind == Kind::linear && edge == 1 && !odd) {
      found.at = &node;
    } else if (kind == Kind::convolution && edge == 1 && operand.transposed == 0) {
      const auto* convolution = dynamic_cast<const torch::autograd::generated::ConvolutionBackward0*>(&node);
      if (convolution != nullptr) {
        found.at = &node;
        found.dim = 1;
        if (convolution->transposed) found.layout = {1, number(convolution->groups)};
      }
    }
    if (found.at == nullptr)
      found.unsupported_reason = (kind == Kind::script ? "fused into " : "used by ") + node.name();
    return found;
  }

  /// Returns the parameter behind nodes that only change its axes, such as b.unsqueeze(1); or null.
  static Node* parameter_behind(Node* node) {
    while (node != nullptr && kind_of(*node) != Kind::sink) {
      const Kind kind = kind_of(*node);
      const bool passes = kind == Kind::reshape || kind == Kind::expand || kind == Kind::cast;
      node = passes ? node->next_edge(0).function.get() : nullptr;
    }
    return node;
  }

  /// Add(reshaped product, bias) is the form of Linear for inputs that are not matrices, and of many custom layers. The
  /// error at the pre-activation arrives at the sum; scaling at the product would miss the bias.
  void note_bias(Node& sum) {
    if (sum.next_edges().size() != 2) return;
    for (const std::size_t b : {0, 1}) {
      Node *bias = parameter_behind(sum.next_edge(b).function.get()), *product = sum.next_edge(1 - b).function.get();
      if (bias == nullptr || sought_.learning.count(bias) != 0) continue;
      Bias found{&sum, bias, {}, false, false};
      while (product != nullptr && (kind_of(*product) == Kind::reshape || kind_of(*product) == Kind::t)) {
        (kind_of(*product) == Kind::t ? found.transposed : found.reshaped) = true;
        found.between.push_back(product);
        product = product->next_edge(0).function.get();
      }
      if (product == nullptr) continue;
      const Kind kind = kind_of(*product);
      if (kind == Kind::mm || kind == Kind::mv || kind == Kind::convolution) biases_[product] = std::move(found);
    }
  }

  void take_bias(Use& use) {
    if (use.at == nullptr) return;
    const Kind kind = kind_of(*use.at);
    const auto sink_at = [&](std::size_t edge) {
      return edge < use.at->next_edges().size() ? parameter_behind(use.at->next_edge(edge).function.get()) : nullptr;
    };
    if (kind == Kind::addmm) use.bias = sink_at(0);
    if (kind == Kind::linear || kind == Kind::convolution) use.bias = sink_at(2);
    const auto found = biases_.find(use.at);
    if (found == biases_.end()) return;
    const Bias& bias = found->second;
    bool alone = met_[use.at].parents == 1;
    for (const Node* node : bias.between) alone &= met_[node].parents == 1;
    // After a transposition the axis of the units is known. After a change of shape it is known only if it is the last
    // axis.
    const bool lost = bias.reshaped && (bias.transposed || use.dim != -1);
    if (!alone || lost) {
      use.at = use.bias = nullptr;
      use.unsupported_reason = alone ? "reshaped before its bias is added" : "used both with and without its bias";
      return;
    }
    if (bias.transposed) use.dim = bias.between.size() % 2 == 0 ? use.dim : -3 - use.dim;
    use.at = bias.sum;
    use.bias = bias.sink;
  }

  struct Met {
    int parents = 0;  // number of edges that lead to this node
    bool visited = false;
  };
  struct Bias {
    Node* sum;
    Node* sink;
    std::vector<const Node*> between;  // this node, the product, and the nodes between them
    bool transposed, reshaped;
  };
  const Sought& sought_;
  std::unordered_map<const Node*, Met> met_;
  std::unordered_map<const Node*, Bias> biases_;
  std::vector<Node*> stack_, beyond_;
  std::vector<Use> uses_;
};

}  // namespace

std::vector<Use> uses_of(Node& root, const Sought& sought) { return Walk(sought).from(root); }

}  // namespace grapes::credit
