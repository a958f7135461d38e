#include "grapes/credit/route.h"

#include "grapes/kernels/checked_row.h"

#include <ATen/ATen.h>

namespace grapes::credit {
namespace {

using To = ErrorPath::To;

ErrorPath by_weights(const at::Tensor&, const at::Tensor&) { return {To::weights, {}}; }
ErrorPath by_feedback(const at::Tensor&, const at::Tensor& B) { return {To::matrix, B}; }
ErrorPath nowhere(const at::Tensor&, const at::Tensor&) { return {To::none, {}}; }
/// sign(Wᵀ) times a magnitude: one number, or a feedback weight.
ErrorPath by_signs(const at::Tensor& W, const at::Tensor& magnitude) {
  const at::Tensor signs = W.detach().sign();
  return {To::matrix, (W.dim() == 2 ? signs.t() : signs).mul(magnitude)};
}
ErrorPath by_mean_signs(const at::Tensor& W, const at::Tensor&) { return by_signs(W, W.detach().abs().mean()); }
ErrorPath by_random_signs(const at::Tensor& W, const at::Tensor& B) { return by_signs(W, B.abs()); }

}  // namespace

const std::vector<Route>& routes() {
  using enum Responsibility;
  using enum FeedbackWeights;
  static const std::vector<Route> rows = {
      // δ^l = [W^{l+1}ᵀ δ^{l+1}] ⊙ φ'(z^l)
      {"bp", "backpropagation: the error goes back through the transposed weights", incoming, true, false,
       Feedback::none, fixed, by_weights},
      // δ^l = [B^{l+1} δ^{l+1}] ⊙ φ'(z^l)
      {"fa",
       "feedback alignment: the error goes back layer by layer through fixed random matrices (Lillicrap et al. 2016)",
       incoming, false, false, Feedback::above, fixed, by_feedback},
      // δ^l = [B^l e] ⊙ φ'(z^l), where e is the error at the logits
      {"dfa",
       "direct feedback alignment: the output error goes to every hidden layer through a fixed random matrix (Nøkland "
       "2016)",
       synaptic, false, false, Feedback::direct, fixed, nowhere},
      {"eprop",
       "e-prop, for spiking networks: dfa at every time step; no error flows back in time between units (Bellec et al. "
       "2020)",
       incoming, false, true, Feedback::direct, fixed, nowhere},
      {"eprop-symmetric",
       "e-prop, for spiking networks, with the transposed weights instead of random matrices (Bellec et al. 2020)",
       incoming, true, true, Feedback::none, fixed, by_weights},
      // δ^1 = [B e] ⊙ φ'(z^1), then upward: δ^l = [W^l δ^{l-1}] ⊙ φ'(z^l)
      {"ifa",
       "indirect feedback alignment: the output error goes to the first layer, then forward through the weights "
       "(Nøkland 2016)",
       incoming, false, false, Feedback::first, fixed, nowhere},
      // as fa, with dB^{l+1} = (dW^{l+1})ᵀ, so that W - Bᵀ shrinks by the weight decay
      {"kolen-pollack",
       "fa with learned matrices: each gets the same update and weight decay as the weights that it replaces (Kolen "
       "and Pollack 1994, Akrout et al. 2019)",
       incoming, true, false, Feedback::above, learned, by_feedback},
      // δ^l = [(s ⊙ sign W^{l+1})ᵀ δ^{l+1}] ⊙ φ'(z^l), with s = mean |W|, rms B, |B| drawn for the batch, |B|
      {"sign-symmetric",
       "the error goes back through the signs of the transposed weights, scaled by their mean magnitude (Liao et al. "
       "2016)",
       incoming, true, false, Feedback::none, fixed, by_mean_signs},
      {"usf",
       "the error goes back through the signs of the transposed weights, all of one fixed magnitude (Liao et al. 2016, "
       "Xiao et al. 2019)",
       incoming, true, false, Feedback::above, scale, by_signs},
      {"brsf",
       "the error goes back through the signs of the transposed weights, with random magnitudes that are drawn again "
       "for every batch (Liao et al. 2016)",
       incoming, true, false, Feedback::above, redrawn, by_random_signs},
      {"frsf",
       "the error goes back through the signs of the transposed weights, with fixed random magnitudes (Liao et al. "
       "2016)",
       incoming, true, false, Feedback::above, fixed, by_random_signs},
  };
  return rows;
}

at::Tensor magnitude(const at::Tensor& B) { return B.square().mean().sqrt(); }

const Route& route_of(const Rule& rule) { return checked_row(routes(), "route", rule.route); }

}  // namespace grapes::credit
