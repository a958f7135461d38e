#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <utility>

/// A layer whose weight is divided over processes.
namespace grapes {

/// The processes that compute one model together, connected by any library: Gloo, NCCL, MPI.
struct Processes {
  int rank = 0;  ///< number of this process
  int size = 1;  ///< number of processes
  /// Sums a contiguous tensor over the processes, in place; all receive the same bits. All processes call it in the
  /// same order.
  std::function<void(const at::Tensor&)> sum = [](const at::Tensor&) {};
};

/// Which axis of a weight [unit, input] is divided.
enum class Split {
  rows,    ///< each process has all weights of some units
  columns  ///< each process has the weights of all units from some inputs
};

namespace credit {

/// The part of a weight that this process holds: indices first ... first + count - 1 of the divided axis.
struct Shard {
  Split split = Split::rows;
  Processes processes;
  std::int64_t first = 0, count = 0, whole = 0;  ///< of the divided axis

  /// Divides an axis of `whole` indices into parts of almost equal size.
  static Shard of(Split split, Processes processes, std::int64_t whole);
  /// Returns this process' part of a tensor of all indices, as a view.
  at::Tensor part(const at::Tensor& all, std::int64_t axis) const { return all.narrow(axis, first, count); }
  /// Returns the tensor of all indices that is 0 outside of this part. The sum over the processes has all parts.
  at::Tensor padded(const at::Tensor& part) const;  ///< @param part  its last axis is divided

  /// Computes the responsibilities of all units. By columns, each process has a part of every sum, and by rows it has
  /// all sums of its own units. Both take one sum of a number per unit over the processes.
  ///   r_n = Σ_p Σ_{i in p} |W_ni|
  /// @param own  computed from this part, [unit] @return [all units], the same bits in all processes
  at::Tensor all_responsibilities(const at::Tensor& own) const;
  /// Returns the numbers of this part's units. @param all  [all units]
  at::Tensor own_units(const at::Tensor& all) const { return split == Split::rows ? part(all, 0) : all; }
};

/// Base of the modules whose parameter `weight` is a shard. backward(), Modulator and LocalOptimizer then compute its
/// factors from the responsibilities of the whole layer, so all processes must call them.
class Sharded {
 public:
  virtual ~Sharded() = default;
  const Shard& shard() const { return shard_; }

 protected:
  explicit Sharded(Shard shard) : shard_(std::move(shard)) {}
  Sharded(const Sharded&) = default;
  Sharded& operator=(const Sharded&) = default;

 private:
  Shard shard_;
};

}  // namespace credit
}  // namespace grapes
