#pragma once

#include "grapes/dist/group.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace grapes::dist {

/// Sums the gradients of a model over all processes, in buckets: flat tensors of several gradients one after the other,
/// of one type. Bucket 0 has the gradients of the last parameters, which the backward pass computes first.
///
///     begin(numbers)   before the backward pass whose gradients complete the batch; also sums a few numbers
///     finish()         after it: sends the other buckets, waits, and leaves the sums in .grad
///
/// A node hook notes when the backward pass has added to a parameter's .grad. The hook of the last gradient of a bucket
/// copies the bucket and starts its sum, while the pass computes the layers below. Bucket k is sent after bucket k - 1,
/// whatever the order in which they become ready, because all processes must start the same sums in the same order.
/// finish() sends the buckets that lack a gradient: one that is undefined in this process counts as zero. Afterwards
/// each .grad is a view of its bucket, of the parameter's shape, until the next begin().
class Buckets final {
 public:
  /// Gloo needs about a millisecond for an operation, however small, so small gradients must travel together.
  static constexpr std::int64_t usual_bytes = 4 << 20;

  /// @param parameters  leaves on the CPU, of any shapes and of float32 or float64; equal in all processes
  /// @param bytes  of one bucket; a larger gradient has a bucket of its own
  Buckets(Group& group, std::vector<at::Tensor> parameters, std::int64_t bytes = usual_bytes);
  ~Buckets();
  Buckets(const Buckets&) = delete;
  Buckets& operator=(const Buckets&) = delete;

  /// @param numbers  as many in all processes @param overlap  false if the backward pass adds to a gradient more than
  /// once: all buckets are then sent by finish()
  void begin(const std::vector<double>& numbers, bool overlap = true);
  /// @return the sums of the numbers
  std::vector<double> finish();

  /// Seconds for which finish() has waited for other processes and the network.
  double waited() const;
  std::size_t count() const;  ///< number of buckets

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the hooks, which may live as long as a graph
};

}  // namespace grapes::dist
