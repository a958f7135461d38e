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
  };
  return rows;
}

}  // namespace grapes::cost
