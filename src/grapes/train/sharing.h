#pragma once

#include "grapes/dist/buckets.h"
#include "grapes/dist/group.h"
#include "grapes/nn/network.h"
#include "grapes/train/metrics.h"
#include "grapes/train/state.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace grapes::train {

/// A part of a batch.
struct Share {
  at::Tensor examples;     ///< numbers of the examples
  std::int64_t first = 0;  ///< place of the first one in the batch
  double weight = 1;       ///< share of the whole batch
  /// If there are fewer examples than parts, a part without one computes an example of another part, with weight 0.
  bool idle = false;
};

/// Divides a batch into `parts` parts of almost equal size. Part `number` has the places number · n / parts ... (number
/// + 1) · n / parts - 1. @param batch  [n] int64
Share share_of(const at::Tensor& batch, std::int64_t number, std::int64_t parts);

/// How each batch is divided: over the processes of a group, and in each process into parts that are computed one after
/// the other. The gradient of the batch is the sum over all parts, each weighted by its share of the batch, so the
/// result does not depend on the division, except for rounding of sums and statistics of batch normalization.
class Sharing final {
 public:
  /// @param group  null: this process only @param parts  at least 1
  Sharing(const nn::Network& model, dist::Group* group, std::int64_t parts);

  std::int64_t parts() const { return parts_; }  ///< of this process
  bool first() const { return group_ == nullptr || group_->first(); }
  /// Returns part `part` of this process.
  Share share(const at::Tensor& batch, std::int64_t part) const;
  /// Returns what synchronizes batch normalization in a pass over a share; null in one process.
  std::shared_ptr<const nn::Together> together(const Share& share) const;

  // Called by step(), in this order, for each part:
  /// Adds the loss of a part. @param last  whether the gradients of this backward pass complete those of the batch
  void begin(double loss, double weight, bool last);
  /// After the backward pass of the last part: replaces the gradients by those of the whole batch.
  /// @return whether the loss of the whole batch is finite
  bool finish();

  double loss() const { return loss_; }  ///< of the last whole batch
  /// The signal that stopped one of the processes before the last finish(), or 0. Without a group, see interrupt.h.
  int signal() const;

  double waited() const { return buckets_ ? buckets_->waited() : 0; }  ///< see dist::Buckets
  /// Sums over processes.
  Totals sum(const Totals& totals) const;
  /// Copies the network's buffers (running statistics) from rank 0.
  void equalize_buffers();
  /// Checks that all processes have the same weights. @throws RunError with the ranks that differ
  void check_weights(std::int64_t step) const;

 private:
  const nn::Network& model_;
  dist::Group* group_;
  std::int64_t parts_;
  std::optional<dist::Buckets> buckets_;
  double weighted_ = 0, weight_ = 0;  // sums over the parts of this batch
  double loss_ = 0;
  int signal_ = 0;
};

/// Copies the whole state of rank 0 to all processes.
void equalize(dist::Group& group, TrainState& state);

}  // namespace grapes::train
