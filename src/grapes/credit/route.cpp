#include "grapes/credit/route.h"

#include "grapes/base/table.h"
#include "grapes/core/feedback.h"

#include <ATen/ATen.h>

#include <utility>

namespace grapes::credit {
namespace {

using To = ErrorPath::To;

ErrorPath by_weights(const at::Tensor&, const at::Tensor&) { return {To::weights, {}}; }
ErrorPath by_feedback(const at::Tensor&, const at::Tensor& B) { return {To::matrix, B}; }
ErrorPath nowhere(const at::Tensor&, const at::Tensor&) { return {To::none, {}}; }
/// sign(Wᵀ) times W's mean magnitude (Liao, Leibo, Poggio 2016).
ErrorPath by_signs(const at::Tensor& W, const at::Tensor&) {
  const at::Tensor signs = W.detach().sign().mul(W.detach().abs().mean());
  return {To::matrix, W.dim() == 2 ? signs.t() : signs};
}

/// δ^1 = [B e] ⊙ φ'(a^1), then upwards δ^l = [W^l δ^{l-1}] ⊙ φ'(a^l). The graph therefore runs downwards: values first,
/// then each layer's pre-activation sends its error to the layer above.
at::Tensor forward_upwards(const Blocks& blocks, const at::Tensor& inputs, bool unmasked_first) {
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
    if (l > 0 || !unmasked_first) above = block.dropout(above);
  }
  return feedback(logits, above, blocks[0]->feedback);
}

}  // namespace

const std::vector<Route>& routes() {
  using enum Responsibility;
  static const std::vector<Route> rows = {
      // δ^l = [W^{l+1}ᵀ δ^{l+1}] ⊙ φ'(a^l)
      {"bp", "backpropagation: through the transposed weights", incoming, true, false, true, Feedback::none,
       by_weights},
      // δ^l = [B^{l+1} δ^{l+1}] ⊙ φ'(a^l)
      {"fa", "feedback alignment: layer by layer through fixed random matrices (Lillicrap et al. 2016)", incoming,
       false, false, true, Feedback::above, by_feedback},
      // δ^l = [B^l e] ⊙ φ'(a^l), e the error at the logits
      {"dfa", "direct feedback alignment: from the output to every layer at once (Nøkland 2016)", synaptic, false,
       false, false, Feedback::direct, nowhere},
      {"eprop",
       "e-prop: dfa at every step, and no error back in time between units; spiking networks (Bellec et al. 2020)",
       incoming, false, true, false, Feedback::direct, nowhere},
      {"eprop-symmetric", "e-prop with backpropagation's weights at every step; spiking networks (Bellec et al. 2020)",
       incoming, true, true, true, Feedback::none, by_weights},
      // δ^1 = [B e] ⊙ φ'(a^1), then upwards δ^l = [W^l δ^{l-1}] ⊙ φ'(a^l)
      {"ifa", "indirect feedback alignment: to the first layer, then forwards through the weights (Nøkland 2016)",
       incoming, false, false, true, Feedback::first, nowhere},
      {"sign-symmetric", "through the signs of the transposed weights, at their mean magnitude (Liao et al. 2016)",
       incoming, true, false, true, Feedback::none, by_signs},
  };
  return rows;
}

const Route& route_of(const Rule& rule) { return find_row(routes(), "route", rule.route); }

ErrorPath transport(const Route& route, const Blocks& blocks, std::size_t l) {
  return l == 0 ? ErrorPath{To::none, {}} : route.down(blocks[l]->weight, blocks[l - 1]->feedback);
}

at::Tensor forward(const Route& route, const Blocks& blocks, const at::Tensor& inputs, bool unmasked_first) {
  if (route.upwards()) return forward_upwards(blocks, inputs, unmasked_first);
  std::vector<at::Tensor> values;
  at::Tensor h = inputs;
  for (std::size_t l = 0; l < blocks.size(); ++l) {
    const ErrorPath way = transport(route, blocks, l);
    h = blocks[l]->forward(way.to == To::none ? h.detach() : std::move(h), way);
    if (l + 1 < blocks.size() && route.feedback == Feedback::direct) values.push_back(h);
  }
  return close(route, h, blocks, values);
}

at::Tensor close(const Route& route, const at::Tensor& logits, const Blocks& blocks,
                 const std::vector<at::Tensor>& values) {
  if (route.feedback != Feedback::direct) return logits;
  at::Tensor closed = logits;
  for (std::size_t l = 0; l < values.size(); ++l)
    closed = feedback(closed, values[l].dim() > 3 ? values[l].flatten(1) : values[l], blocks[l]->feedback);
  return closed;
}

}  // namespace grapes::credit
