#include "grapes/kernels/dropout.h"

#include "grapes/base/random.h"
#include "grapes/kernels/instruction_set.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>

#include <algorithm>
#include <cmath>

namespace grapes::kernels {
namespace {

/// The largest 32-bit random number for which a unit is kept.
std::uint32_t last_kept(double p) {
  return static_cast<std::uint32_t>(std::max(std::llround((1 - p) * 0x1p32), 1LL) - 1);
}

}  // namespace

std::uint64_t dropout_key(std::uint64_t seed, std::int64_t step, std::size_t layer) {
  return stream_seed(seed, "dropout", static_cast<std::uint64_t>(step), layer);
}

template <class T>
MaskRow<T>::MaskRow(const Dropout& dropout)
    : given_(dropout.mask.defined() ? dropout.mask.data_ptr<T>() : nullptr),
      key_(dropout.key),
      first_(dropout.first),
      drawn_(dropout.p > 0),
      last_(last_kept(dropout.p)),
      kept_(static_cast<T>(1 / (1 - dropout.p))) {}

template <class T>
const T* MaskRow<T>::at(std::int64_t row, std::int64_t begin, std::int64_t count, std::int64_t nodes) {
  if (given_ != nullptr) return given_ + row * nodes + begin;
  if (!drawn_) return nullptr;
  loops<T>().dropout_mask(key_, static_cast<std::uint32_t>(first_ + row), begin, count, last_, kept_, values_);
  return values_;
}
template class MaskRow<float>;
template class MaskRow<double>;

at::Tensor dropout_mask(std::uint64_t key, std::int64_t batch, std::int64_t nodes, double p, at::ScalarType dtype,
                        std::int64_t first) {
  at::Tensor mask = at::empty({batch, nodes}, dtype);
  AT_DISPATCH_FLOATING_TYPES(dtype, "dropout_mask", [&] {
    for (std::int64_t b = 0; b < batch; ++b)
      loops<scalar_t>().dropout_mask(key, static_cast<std::uint32_t>(first + b), 0, nodes, last_kept(p),
                                     static_cast<scalar_t>(1 / (1 - p)), mask.data_ptr<scalar_t>() + b * nodes);
  });
  return mask;
}

}  // namespace grapes::kernels
