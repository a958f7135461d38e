#include "grapes/cost/cost.h"

namespace grapes::cost {

// Constants are folded. In nag, μ v takes two multiplications: v is updated, then used for the look-ahead.
const std::vector<UpdateRule>& update_rules() {
  static const std::vector<UpdateRule> rows = {
      //                                                            x  +  /  state read written
      {"sgd", "W -= η g", 1, 1, 0, 0, 2, 1},
      {"momentum", "v = μ v + η g;  W -= v", 2, 2, 0, 1, 3, 2},
      // Look-ahead: reads W and v, writes W and the rest. Update: reads g, v and the rest, writes v and W.
      {"nag", "rest = W;  W -= μ v;  then v = μ v + η g;  W = rest - v", 3, 3, 0, 2, 5, 4},
      {"rmsprop", "q = ρ q + (1-ρ) g²;  W -= η g / √(q + ε)", 4, 3, 2, 1, 3, 2},
      // 1 / (1 - βᵗ) is a constant of the step, so m̂ and v̂ take one multiplication each.
      {"adam", "m = β₁ m + (1-β₁) g;  v = β₂ v + (1-β₂) g²;  W -= η m̂ / (√v̂ + ε)", 8, 4, 2, 2, 4, 3},
      // The rows below need norms or paths before they can update, so W, g and u are read twice. Operations per unit or
      // per weight matrix instead of per number, such as the roots of norms, are not counted.
      {"lars", "t = |W| / (|g| + λ |W|);  v = μ v + η t g;  W -= v", 4, 4, 0, 1, 5, 2},
      {"lamb", "m, v as adam;  u = m̂ / (√v̂ + ε);  W -= η |W| / |u| u", 10, 6, 2, 2, 6, 4},
      // Per unit: Σ g², then W -= c g with Σ W and Σ W², then W = (W - mean) / norm.
      {"nero", "q = β q + (1-β) |g|²;  W -= η σ g / √q̂;  W = (W - mean W) / |W - mean W|, per unit", 4, 5, 0, 0, 4, 2,
       false, 1},
      // γ: the square, then products with one example forward, for the errors and for γ, see UpdateRule::follows_paths.
      {"path-sgd", "γ = ∂F/∂(W²), F: the network with W²;  W -= η g / γ", 2, 1, 1, 0, 6, 3, true},
      // The sign costs nothing; the exponential is one of the divisions, roots and exponentials.
      {"eg", "W *= exp(-η sign(W) g)", 2, 0, 1, 0, 2, 1},
  };
  return rows;
}

}  // namespace grapes::cost
