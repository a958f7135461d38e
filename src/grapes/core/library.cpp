// Registers the operations. C++, Python and TorchScript share these schemas.
#include "grapes/core/attach.h"
#include "grapes/core/feedback.h"
#include "grapes/core/modulate.h"
#include "grapes/core/responsibility.h"
#include "grapes/core/snu.h"

#include <torch/library.h>
#include <torch/version.h>

#include <string>

namespace {

/// This string can also be read from the bytes of the file: with another version of LibTorch the library may fail to
/// load.
const char* const built_for = "grapes built for LibTorch " TORCH_VERSION;

}  // namespace

TORCH_LIBRARY(grapes, library) {
  library.def(
      "responsibility(Tensor weight, Tensor? recurrent=None, int dim=0, Tensor? mask=None, bool "
      "mean=False) -> Tensor",
      &grapes::responsibility);
  library.def(
      "factor(Tensor weight, Tensor? recurrent=None, int dim=0, Tensor? mask=None, float gain=2.0, float low=1.0, "
      "float high=2.0) -> Tensor",
      &grapes::factor);
  library.def("modulate(Tensor z, Tensor m, int dim=1) -> Tensor", &grapes::modulate);
  library.def("feedback(Tensor y, Tensor x, Tensor B) -> Tensor", &grapes::feedback);
  library.def(
      "feedback_convolution(Tensor y, Tensor x, Tensor B, int[] stride, int[] padding, int[] dilation, int groups) -> "
      "Tensor",
      &grapes::feedback_convolution);
  library.def("mirror(Tensor W, Tensor B) -> Tensor", &grapes::mirror);
  library.def(
      "snu(Tensor x, Tensor weight, Tensor? recurrent, Tensor decay, Tensor threshold, Tensor membrane, Tensor output, "
      "Tensor? present, Tensor? m, bool local, bool compounding, Tensor? feedback, bool transport, float slope, bool "
      "smooth, str reset, str surrogate, float width, bool detach_reset, int truncate, Tensor? current=None, "
      "float synapse=0, bool eprop=False) -> (Tensor, Tensor, Tensor, Tensor)",
      &grapes::snu);
  library.def("attach(Tensor z, Tensor m, int dim) -> ()", &grapes::attach);
  library.def("attach_parameter(Tensor[] outputs, Tensor[] inputs, Tensor parameter, Tensor scale) -> int",
              &grapes::attach_parameter);
  library.def("attach_product(Tensor[] outputs, Tensor[] inputs, Tensor weight, Tensor? bias, Tensor m) -> int",
              &grapes::attach_product);
  library.def("built_for() -> str", [] { return std::string(built_for); });
}
