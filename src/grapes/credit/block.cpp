#include "grapes/credit/block.h"

#include "grapes/core/feedback.h"
#include "grapes/core/modulate.h"
#include "grapes/core/rounding.h"

namespace grapes::credit {

at::Tensor Rounding::weight(const at::Tensor& W) const {
  return weights ? round_value(W, weights, 0, stream_seed(key, "weights")) : W;
}
at::Tensor Rounding::input(const at::Tensor& h) const {
  return activations ? round_value(h, activations, 1, stream_seed(key, "activations")) : h;
}
at::Tensor Rounding::error_at(const at::Tensor& z, std::int64_t axis) const {
  return error ? round_error(z, error, axis, stream_seed(key, "error")) : z;
}
Rounding Rounding::of(const char* what, std::int64_t number) const {
  Rounding other = *this;
  other.key = stream_seed(key, what, static_cast<std::uint64_t>(number));
  return other;
}

at::Tensor modulated(const Block& block, const at::Tensor& z) {
  return block.factors.error.defined() ? modulate(z, block.factors.error, 1) : z;
}

at::Tensor Block::output(const at::Tensor& z) const { return dropout(activation(modulated(*this, z))); }

at::Tensor Block::forward(at::Tensor h, const ErrorPath& path) const {
  h = rounding.input(h);
  at::Tensor z = affine(path.to == ErrorPath::To::weights ? h : h.detach());
  if (path.to == ErrorPath::To::matrix) z = grapes::feedback(z, h, path.matrix);
  return output(rounding.error_at(z));
}

std::pair<at::Tensor, at::Tensor> Block::modulated_parameters() const {
  at::Tensor W = rounding.weight(weight), b = bias;
  if (factors.rows.defined()) {
    W = modulate(W, factors.rows, 0);
    if (b.defined()) b = modulate(b, factors.rows, 0);
  }
  if (factors.columns.defined()) W = modulate(W, factors.columns, 1);
  return {W, b};
}

}  // namespace grapes::credit
