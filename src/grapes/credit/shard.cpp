#include "grapes/credit/shard.h"

#include <ATen/ATen.h>

namespace grapes::credit {

Shard Shard::of(Split split, Processes processes, std::int64_t whole) {
  const std::int64_t rank = processes.rank, size = processes.size;
  TORCH_CHECK_VALUE(size > 0 && rank >= 0 && rank < size, "shard: the rank must be in 0 ... size - 1; got rank ", rank,
                    " of ", size);
  TORCH_CHECK_VALUE(whole >= size, "shard: there must be at least one ", split == Split::rows ? "unit" : "input",
                    " per process; got ", whole, " for ", size, " processes");
  const std::int64_t first = rank * whole / size, end = (rank + 1) * whole / size;
  return {split, std::move(processes), first, end - first, whole};
}

at::Tensor Shard::padded(const at::Tensor& part) const {
  return at::constant_pad_nd(part, {first, whole - first - count});
}

at::Tensor Shard::all_responsibilities(const at::Tensor& own) const {
  at::Tensor all = split == Split::rows ? padded(own) : own.clone();
  processes.sum(all);
  return all;
}

}  // namespace grapes::credit
