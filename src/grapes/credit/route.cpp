#include "grapes/credit/route.h"

#include "grapes/core/feedback.h"

#include <ATen/ATen.h>

#include <utility>

namespace grapes::credit {
namespace {

using Nodes = std::vector<std::int64_t>;
using Shape = std::pair<std::int64_t, std::int64_t>;
using To = Transport::To;

/// δ^l = [W^{l+1}ᵀ δ^{l+1}] ⊙ φ'(a^l)
class Backpropagation final : public Route {
 public:
  at::Tensor forward(const Blocks& blocks, const at::Tensor& inputs) const override {
    at::Tensor h = inputs;
    for (const Block* block : blocks) h = block->forward(std::move(h), {To::weights, {}});
    return h;
  }
};

/// δ^l = [B^{l+1} δ^{l+1}] ⊙ φ'(a^l): backpropagation through other matrices, the fixed ones or those `matrix` makes.
class FeedbackAlignment final : public Route {
 public:
  using Matrix = at::Tensor (*)(const Blocks& blocks, std::size_t above);
  explicit FeedbackAlignment(Matrix matrix) : matrix_(matrix) {}

  at::Tensor forward(const Blocks& blocks, const at::Tensor& inputs) const override {
    at::Tensor h = blocks[0]->forward(inputs, {To::nowhere, {}});
    for (std::size_t l = 1; l < blocks.size(); ++l)
      h = blocks[l]->forward(std::move(h), {To::matrix, matrix_(blocks, l)});
    return h;
  }

 private:
  Matrix matrix_;
};

at::Tensor fixed_matrix(const Blocks& blocks, std::size_t above) { return blocks[above - 1]->feedback; }

/// sign(Wᵀ) times W's mean magnitude (Liao, Leibo, Poggio 2016).
at::Tensor sign_matrix(const Blocks& blocks, std::size_t above) {
  const at::Tensor weight = blocks[above]->weight.detach();
  return weight.sign().mul(weight.abs().mean()).t();
}

/// δ^l = [B^l e] ⊙ φ'(a^l), e the error at the logits.
class DirectFeedbackAlignment final : public Route {
 public:
  at::Tensor forward(const Blocks& blocks, const at::Tensor& inputs) const override {
    std::vector<at::Tensor> values;
    at::Tensor h = inputs;
    for (const Block* block : blocks) {
      h = block->forward(h.detach(), {To::nowhere, {}});
      values.push_back(h);
    }
    for (std::size_t l = 0; l + 1 < blocks.size(); ++l) h = feedback(h, values[l], blocks[l]->feedback);
    return h;
  }
};

/// δ^1 = [B e] ⊙ φ'(a^1), then upwards δ^l = [W^l δ^{l-1}] ⊙ φ'(a^l). The graph therefore runs downwards: values first,
/// then each layer's pre-activation sends its error to the layer above.
class IndirectFeedbackAlignment final : public Route {
 public:
  explicit IndirectFeedbackAlignment(bool unmasked_first) : unmasked_first_(unmasked_first) {}

  at::Tensor forward(const Blocks& blocks, const at::Tensor& inputs) const override {
    const std::size_t hidden = blocks.size() - 1;
    std::vector<at::Tensor> z(hidden);
    at::Tensor h = inputs;
    for (std::size_t l = 0; l < hidden; ++l) {
      z[l] = blocks[l]->affine(h);
      h = blocks[l]->dropout(blocks[l]->activation(z[l].detach()));
    }
    const at::Tensor logits = blocks.back()->affine(h);
    if (hidden == 0) return logits;
    at::Tensor above;
    for (std::size_t l = hidden; l-- > 0;) {
      const Block& block = *blocks[l];
      const at::Tensor sends = l + 1 < hidden ? feedback(z[l], above, blocks[l + 1]->weight.detach()) : z[l];
      above = block.activation(modulated(block, sends));
      if (l > 0 || !unmasked_first_) above = block.dropout(above);
    }
    return feedback(logits, above, blocks[0]->feedback);
  }

 private:
  bool unmasked_first_;
};

Shape none(const Nodes&, std::size_t) { return {0, 0}; }
Shape layered(const Nodes& nodes, std::size_t l) { return {nodes[l], nodes[l + 1]}; }
Shape direct(const Nodes& nodes, std::size_t l) { return {nodes[l], nodes.back()}; }
Shape first_only(const Nodes& nodes, std::size_t l) { return l == 1 ? direct(nodes, l) : none(nodes, l); }

}  // namespace

const std::vector<RouteRow>& routes() {
  using enum Responsibility;
  static const std::vector<RouteRow> rows = {
      {"bp", "backpropagation: through the transposed weights", incoming, true, false, true, none,
       [](const RouteOptions&) -> std::unique_ptr<Route> { return std::make_unique<Backpropagation>(); }},
      {"fa", "feedback alignment: layer by layer through fixed random matrices (Lillicrap et al. 2016)", incoming,
       false, false, true, layered,
       [](const RouteOptions&) -> std::unique_ptr<Route> { return std::make_unique<FeedbackAlignment>(fixed_matrix); }},
      {"dfa", "direct feedback alignment: from the output to every layer at once (Nøkland 2016)", synaptic, false,
       false, false, direct,
       [](const RouteOptions&) -> std::unique_ptr<Route> { return std::make_unique<DirectFeedbackAlignment>(); }},
      {"eprop",
       "e-prop: dfa at every step, and no error back in time between nodes; spiking networks (Bellec et al. 2020)",
       incoming, false, true, false, direct,
       [](const RouteOptions&) -> std::unique_ptr<Route> { return std::make_unique<DirectFeedbackAlignment>(); }},
      {"eprop-symmetric", "e-prop with backpropagation's weights at every step; spiking networks (Bellec et al. 2020)",
       incoming, true, true, true, none,
       [](const RouteOptions&) -> std::unique_ptr<Route> { return std::make_unique<Backpropagation>(); }},
      {"ifa", "indirect feedback alignment: to the first layer, then forwards through the weights (Nøkland 2016)",
       incoming, false, false, true, first_only,
       [](const RouteOptions& options) -> std::unique_ptr<Route> {
         return std::make_unique<IndirectFeedbackAlignment>(options.unmasked_first);
       }},
      {"sign-symmetric", "through the signs of the transposed weights, at their mean magnitude (Liao et al. 2016)",
       incoming, true, false, true, none,
       [](const RouteOptions&) -> std::unique_ptr<Route> { return std::make_unique<FeedbackAlignment>(sign_matrix); }},
  };
  return rows;
}

ModulationOptions resolve(ModulationOptions options, const RouteRow& route) {
  if (options.responsibility == Responsibility::by_route) options.responsibility = route.responsibility;
  if (options.clip == ModulationOptions::Clip::by_route)
    options.clip = route.clipped ? ModulationOptions::Clip::range : ModulationOptions::Clip::none;
  return options;
}

}  // namespace grapes::credit
