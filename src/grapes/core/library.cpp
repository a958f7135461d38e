// The operations under their schemas: the contract that C++, Python and TorchScript share.
#include "grapes/core/feedback.h"
#include "grapes/core/modulate.h"
#include "grapes/core/responsibility.h"

#include <torch/library.h>

TORCH_LIBRARY(grapes, library) {
  library.def("responsibility(Tensor weight, Tensor? recurrent=None, int dim=0, Tensor? mask=None) -> Tensor",
              &grapes::responsibility);
  library.def(
      "factor(Tensor weight, Tensor? recurrent=None, int dim=0, Tensor? mask=None, float gain=2.0, float low=1.0, "
      "float high=2.0) -> Tensor",
      &grapes::factor);
  library.def("modulate(Tensor z, Tensor m, int dim=1) -> Tensor", &grapes::modulate);
  library.def("feedback(Tensor y, Tensor x, Tensor B) -> Tensor", &grapes::feedback);
}
