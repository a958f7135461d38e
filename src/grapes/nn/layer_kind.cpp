#include "grapes/nn/layer_kind.h"

namespace grapes::nn {

const std::vector<LayerKind>& layer_kinds() {
  static const std::vector<LayerKind> rows = {
      {"linear", "z = W h + b", true, linear_layer},
      {"crossbar", "z = W h + b, W in a crossbar of analog devices; all dense layers, where analog is given", false,
       crossbar_layer},
  };
  return rows;
}

}  // namespace grapes::nn
