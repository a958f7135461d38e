#include "grapes/credit/route.h"

#include "grapes/core/feedback.h"

#include <ATen/ATen.h>

#include <utility>

namespace grapes::credit {
namespace {

using To = Transport::To;

/// δ^l = [W^{l+1}ᵀ δ^{l+1}] ⊙ φ'(a^l)
class Backpropagation final : public Route {
 public:
  Transport transport(const Blocks&, std::size_t) const override { return {To::weights, {}}; }
};

/// δ^l = [B^{l+1} δ^{l+1}] ⊙ φ'(a^l): backpropagation through other matrices, the fixed ones or those `matrix` makes.
class FeedbackAlignment final : public Route {
 public:
  using Matrix = at::Tensor (*)(const Blocks& blocks, std::size_t above);
  explicit FeedbackAlignment(Matrix matrix) : matrix_(matrix) {}

  Transport transport(const Blocks& blocks, std::size_t l) const override {
    return l == 0 ? Transport{To::nowhere, {}} : Transport{To::matrix, matrix_(blocks, l)};
  }

 private:
  Matrix matrix_;
};

at::Tensor fixed_matrix(const Blocks& blocks, std::size_t above) { return blocks[above - 1]->feedback; }

/// sign(Wᵀ) times W's mean magnitude (Liao, Leibo, Poggio 2016).
at::Tensor sign_matrix(const Blocks& blocks, std::size_t above) {
  const at::Tensor weight = blocks[above]->weight.detach();
  const at::Tensor signs = weight.sign().mul(weight.abs().mean());
  return weight.dim() == 2 ? signs.t() : signs;
}

/// δ^l = [B^l e] ⊙ φ'(a^l), e the error at the logits.
class DirectFeedbackAlignment final : public Route {
 public:
  Transport transport(const Blocks&, std::size_t) const override { return {To::nowhere, {}}; }
  at::Tensor close(const at::Tensor& logits, const Blocks& blocks,
                   const std::vector<at::Tensor>& values) const override {
    at::Tensor closed = logits;
    for (std::size_t l = 0; l < values.size(); ++l)
      closed = feedback(closed, values[l].dim() > 3 ? values[l].flatten(1) : values[l], blocks[l]->feedback);
    return closed;
  }
};

/// δ^1 = [B e] ⊙ φ'(a^1), then upwards δ^l = [W^l δ^{l-1}] ⊙ φ'(a^l). The graph therefore runs downwards: values first,
/// then each layer's pre-activation sends its error to the layer above.
class IndirectFeedbackAlignment final : public Route {
 public:
  explicit IndirectFeedbackAlignment(bool unmasked_first) : unmasked_first_(unmasked_first) {}

  bool upwards() const override { return true; }
  Transport transport(const Blocks&, std::size_t) const override { return {To::nowhere, {}}; }
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

}  // namespace

at::Tensor Route::forward(const Blocks& blocks, const at::Tensor& inputs) const {
  std::vector<at::Tensor> values;
  at::Tensor h = inputs;
  for (std::size_t l = 0; l < blocks.size(); ++l) {
    const Transport way = transport(blocks, l);
    h = blocks[l]->forward(way.to == To::nowhere ? h.detach() : std::move(h), way);
    if (way.to == To::nowhere && l + 1 < blocks.size()) values.push_back(h);
  }
  return close(h, blocks, values);
}

at::Tensor Route::close(const at::Tensor& logits, const Blocks&, const std::vector<at::Tensor>&) const {
  return logits;
}

const std::vector<RouteRow>& routes() {
  using enum Responsibility;
  static const std::vector<RouteRow> rows = {
      {"bp", "backpropagation: through the transposed weights", incoming, true, false, true, Feedback::none,
       [](const RouteOptions&) -> std::unique_ptr<Route> { return std::make_unique<Backpropagation>(); }},
      {"fa", "feedback alignment: layer by layer through fixed random matrices (Lillicrap et al. 2016)", incoming,
       false, false, true, Feedback::above,
       [](const RouteOptions&) -> std::unique_ptr<Route> { return std::make_unique<FeedbackAlignment>(fixed_matrix); }},
      {"dfa", "direct feedback alignment: from the output to every layer at once (Nøkland 2016)", synaptic, false,
       false, false, Feedback::direct,
       [](const RouteOptions&) -> std::unique_ptr<Route> { return std::make_unique<DirectFeedbackAlignment>(); }},
      {"eprop",
       "e-prop: dfa at every step, and no error back in time between nodes; spiking networks (Bellec et al. 2020)",
       incoming, false, true, false, Feedback::direct,
       [](const RouteOptions&) -> std::unique_ptr<Route> { return std::make_unique<DirectFeedbackAlignment>(); }},
      {"eprop-symmetric", "e-prop with backpropagation's weights at every step; spiking networks (Bellec et al. 2020)",
       incoming, true, true, true, Feedback::none,
       [](const RouteOptions&) -> std::unique_ptr<Route> { return std::make_unique<Backpropagation>(); }},
      {"ifa", "indirect feedback alignment: to the first layer, then forwards through the weights (Nøkland 2016)",
       incoming, false, false, true, Feedback::first,
       [](const RouteOptions& options) -> std::unique_ptr<Route> {
         return std::make_unique<IndirectFeedbackAlignment>(options.unmasked_first);
       }},
      {"sign-symmetric", "through the signs of the transposed weights, at their mean magnitude (Liao et al. 2016)",
       incoming, true, false, true, Feedback::none,
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
