#include "grapes/credit/route.h"

#include "grapes/kernels/checked_row.h"

#include <ATen/ATen.h>

namespace grapes::credit {
namespace {

using To = ErrorPath::To;

ErrorPath by_weights(const at::Tensor&, const at::Tensor&) { return {To::weights, {}}; }
ErrorPath by_feedback(const at::Tensor&, const at::Tensor& B) { return {To::matrix, B}; }
ErrorPath nowhere(const at::Tensor&, const at::Tensor&) { return {To::none, {}}; }
/// sign(Wᵀ) times the mean magnitude of W (Liao, Leibo, Poggio 2016).
ErrorPath by_signs(const at::Tensor& W, const at::Tensor&) {
  const at::Tensor signs = W.detach().sign().mul(W.detach().abs().mean());
  return {To::matrix, W.dim() == 2 ? signs.t() : signs};
}

}  // namespace

const std::vector<Route>& routes() {
  using enum Responsibility;
  static const std::vector<Route> rows = {
      // δ^l = [W^{l+1}ᵀ δ^{l+1}] ⊙ φ'(z^l)
      {"bp", "backpropagation: the error goes back through the transposed weights", incoming, true, false,
       Feedback::none, by_weights},
      // δ^l = [B^{l+1} δ^{l+1}] ⊙ φ'(z^l)
      {"fa",
       "feedback alignment: the error goes back layer by layer through fixed random matrices (Lillicrap et al. 2016)",
       incoming, false, false, Feedback::above, by_feedback},
      // δ^l = [B^l e] ⊙ φ'(z^l), where e is the error at the logits
      {"dfa",
       "direct feedback alignment: the output error goes to every hidden layer through a fixed random matrix (Nøkland "
       "2016)",
       synaptic, false, false, Feedback::direct, nowhere},
      {"eprop",
       "e-prop, for spiking networks: dfa at every time step; no error flows back in time between units (Bellec et al. "
       "2020)",
       incoming, false, true, Feedback::direct, nowhere},
      {"eprop-symmetric",
       "e-prop, for spiking networks, with the transposed weights instead of random matrices (Bellec et al. 2020)",
       incoming, true, true, Feedback::none, by_weights},
      // δ^1 = [B e] ⊙ φ'(z^1), then upward: δ^l = [W^l δ^{l-1}] ⊙ φ'(z^l)
      {"ifa",
       "indirect feedback alignment: the output error goes to the first layer, then forward through the weights "
       "(Nøkland 2016)",
       incoming, false, false, Feedback::first, nowhere},
      {"sign-symmetric",
       "the error goes back through the signs of the transposed weights, scaled by their mean magnitude (Liao et al. "
       "2016)",
       incoming, true, false, Feedback::none, by_signs},
  };
  return rows;
}

const Route& route_of(const Rule& rule) { return checked_row(routes(), "route", rule.route); }

}  // namespace grapes::credit
