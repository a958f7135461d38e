#include "grapes/data/split.h"

#include "grapes/base/error.h"
#include "grapes/base/random.h"

#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

namespace grapes::data {
namespace {

using Indices = std::vector<std::int64_t>;

std::vector<Indices> by_class(const at::Tensor& targets) {
  if (targets.dim() != 1 || targets.scalar_type() != at::kLong || targets.numel() == 0) {
    Indices all(static_cast<std::size_t>(targets.size(0)));
    std::iota(all.begin(), all.end(), 0);
    return {all};
  }
  std::vector<Indices> groups(static_cast<std::size_t>(targets.max().item<std::int64_t>()) + 1);
  const at::Tensor labels = targets.contiguous();
  const auto* label = labels.data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < labels.size(0); ++row) groups[static_cast<std::size_t>(label[row])].push_back(row);
  return groups;
}

/// Returns the number to take from each group: the integer part of its share, plus one for the largest remainders. In
/// integers: the share of a group of size s is s · count / n.
std::vector<std::int64_t> shares(const std::vector<Indices>& groups, std::int64_t count, std::int64_t n) {
  std::vector<std::int64_t> share, remainder;
  for (const Indices& group : groups) {
    const auto product = static_cast<std::int64_t>(group.size()) * count;
    share.push_back(n ? product / n : 0);
    remainder.push_back(n ? product % n : 0);
  }
  std::vector<std::size_t> order(groups.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return remainder[a] > remainder[b]; });
  const std::int64_t missing = count - std::accumulate(share.begin(), share.end(), std::int64_t{0});
  for (std::int64_t i = 0; i < missing; ++i) ++share[order[static_cast<std::size_t>(i)]];
  return share;
}

}  // namespace

Parts draw(const at::Tensor& targets, std::int64_t count, std::uint64_t seed, std::string_view name) {
  const std::int64_t n = targets.size(0);
  TORCH_CHECK(0 <= count && count <= n, "draw: count must lie in 0 ... ", n, "; got ", count);
  const std::vector<Indices> groups = by_class(targets);
  const std::vector<std::int64_t> share = shares(groups, count, n);
  Random random(stream_seed(seed, name));
  std::vector<char> taken(static_cast<std::size_t>(n), false);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const Indices order = permutation(static_cast<std::int64_t>(groups[g].size()), random);
    for (std::int64_t i = 0; i < share[g]; ++i)
      taken[static_cast<std::size_t>(groups[g][static_cast<std::size_t>(order[static_cast<std::size_t>(i)])])] = true;
  }
  Indices drawn, rest;
  for (std::int64_t row = 0; row < n; ++row) (taken[static_cast<std::size_t>(row)] ? drawn : rest).push_back(row);
  return {at::tensor(drawn, at::kLong), at::tensor(rest, at::kLong)};
}

std::int64_t part_of(std::int64_t n, double part, const std::string& field) {
  if (!(part >= 0) || (part >= 1 && part != std::floor(part)))
    throw UsageError(field, fmt::format("{}: expected a fraction from 0 to below 1, or a whole number", part));
  if (part < 1) return std::min(std::llround(part * static_cast<double>(n)), static_cast<long long>(n) - 1);
  if (part >= static_cast<double>(n))
    throw UsageError(field,
                     fmt::format("{}: there are only {} examples, and at least one must remain for training", part, n));
  return static_cast<std::int64_t>(part);
}

}  // namespace grapes::data
