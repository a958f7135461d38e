#include "grapes/credit/block.h"

#include "grapes/core/feedback.h"
#include "grapes/core/modulate.h"

namespace grapes::credit {

at::Tensor modulated(const Block& block, const at::Tensor& z) {
  return block.factors.error.defined() ? modulate(z, block.factors.error, 1) : z;
}

at::Tensor Block::output(const at::Tensor& z) const { return dropout(activation(modulated(*this, z))); }

at::Tensor Block::forward(at::Tensor h, const Transport& transport) const {
  if (transport.to == Transport::To::weights) return output(affine(h));
  const at::Tensor z = affine(h.detach());
  return output(transport.to == Transport::To::matrix ? grapes::feedback(z, h, transport.matrix) : z);
}

std::pair<at::Tensor, at::Tensor> Block::modulated_parameters() const {
  at::Tensor W = weight, b = bias;
  if (factors.rows.defined()) {
    W = modulate(W, factors.rows, 0);
    if (b.defined()) b = modulate(b, factors.rows, 0);
  }
  if (factors.columns.defined()) W = modulate(W, factors.columns, 1);
  return {W, b};
}

}  // namespace grapes::credit
