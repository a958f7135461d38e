#include "grapes/credit/scale.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>

#include <vector>

namespace grapes::credit {
namespace {

using torch::autograd::variable_list;

/// Whether the memory of this gradient is used nowhere else, so that it may be overwritten. A gradient from the engine
/// may be a part of another tensor, be kept by the user, or use external memory.
bool owned(const at::Tensor& error) {
  return error.layout() == at::kStrided && error.has_storage() && error.use_count() == 1 &&
         error.storage().use_count() == 1 && error.storage().resizable() && error.is_non_overlapping_and_dense();
}

class Scale final : public torch::autograd::FunctionPreHook {
 public:
  explicit Scale(std::shared_ptr<const Pass> pass) : pass_(std::move(pass)) {}

  bool belongs_to(const std::shared_ptr<const Pass>& pass) const { return pass_ == pass; }
  bool is_set() const { return number_ == pass_->number; }
  void set(const at::Tensor& m, const std::int64_t* dim) {
    m_ = m;
    by_axis_ = dim != nullptr;
    dim_ = by_axis_ ? *dim : 0;
    number_ = pass_->number;
  }

  variable_list operator()(const variable_list& errors) override {
    if (!pass_->running || !is_set() || errors.empty() || !errors[0].defined()) return errors;
    const at::NoGradGuard no_grad;
    const at::Tensor m = shaped_like(errors[0]);
    const bool in_place = owned(errors[0]);  // test before the list is copied; a copy counts as an owner
    variable_list scaled = errors;
    if (in_place)
      scaled[0].mul_(m);
    else
      scaled[0] = (errors[0] * m).to(errors[0].scalar_type());
    return scaled;
  }

 private:
  at::Tensor shaped_like(const at::Tensor& error) const {
    at::Tensor m = m_;
    if (by_axis_) {
      const std::int64_t axis = dim_ < 0 ? dim_ + error.dim() : dim_;
      TORCH_CHECK(axis >= 0 && axis < error.dim() && error.size(axis) == m.size(0),
                  "backward: the error at a layer with ", m.size(0), " units must have this size along axis ", dim_,
                  "; got an error of shape ", error.sizes());
      std::vector<std::int64_t> shape(static_cast<std::size_t>(error.dim()), 1);
      shape[static_cast<std::size_t>(axis)] = m.size(0);
      m = m.view(shape);
    }
    // Under autocast the error has fewer bits than the factor. The product is rounded once.
    return m.to(error.device());
  }

  std::shared_ptr<const Pass> pass_;
  at::Tensor m_;
  std::int64_t dim_ = 0, number_ = -1;
  bool by_axis_ = false;
};

}  // namespace

void scale_at(torch::autograd::Node& node, const std::shared_ptr<const Pass>& pass, const at::Tensor& m,
              const std::int64_t* dim) {
  Scale* mine = nullptr;
  for (const auto& hook : node.pre_hooks()) {
    auto* scale = dynamic_cast<Scale*>(hook.get());
    if (scale != nullptr && scale->belongs_to(pass)) mine = scale;
  }
  if (mine == nullptr) {
    auto made = std::make_unique<Scale>(pass);
    mine = made.get();
    node.add_pre_hook(std::move(made));
  } else {
    TORCH_CHECK(!mine->is_set(),
                "backward: a bias of a layer with the local version must not be shared with another "
                "layer; got one shared at ",
                node.name());
  }
  mine->set(m, dim);
}

}  // namespace grapes::credit
