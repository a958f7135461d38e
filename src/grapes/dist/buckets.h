#pragma once

#include "grapes/dist/group.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace grapes::dist {

/// Sums the gradients of a model over all processes, in buckets. A bucket is sent as soon as the backward pass has
/// computed its gradients, while it computes those of the layers below. The buckets are sent in a fixed order, from the
/// last parameter to the first, whatever the order in which gradients become ready.
///
///     begin(numbers)   before the backward pass whose gradients complete the batch; also sums a few numbers
///     finish()         after it: sends the other buckets, waits, and leaves the sums in .grad
///
/// A gradient that is undefined in one process counts as zero.
class Buckets final {
 public:
  /// Gloo needs about a millisecond for an operation, however small, so small gradients must travel together.
  static constexpr std::int64_t usual_bytes = 4 << 20;

  /// @param parameters  leaves on the CPU; equal in all processes @param bytes  of one bucket
  Buckets(Group& group, std::vector<at::Tensor> parameters, std::int64_t bytes = usual_bytes);
  ~Buckets();
  Buckets(const Buckets&) = delete;
  Buckets& operator=(const Buckets&) = delete;

  /// @param overlap  false if the backward pass adds to a gradient more than once: all buckets are then sent by
  /// finish()
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
