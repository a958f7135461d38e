#include "grapes/nn/layer_kind.h"

namespace grapes::nn {

const std::vector<LayerKind>& layer_kinds() {
  static const std::vector<LayerKind> rows = {
      {"linear", "z = W h + b", true, linear_layer},
      {"crossbar",
       "z = W h + b, with W in a crossbar of analog devices; used for all dense layers if the key analog is set", false,
       crossbar_layer},
  };
  return rows;
}

}  // namespace grapes::nn
