#include "grapes/kernels/spikes.h"

#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/threads.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>

#include <algorithm>
#include <bit>

namespace grapes::kernels {
namespace {

constexpr std::int64_t columns_per_block = 512;
/// Rows of an error that are gone through together for all columns: a quarter of a megabyte at 256 nodes.
constexpr std::int64_t rows_together = 256;

}  // namespace

std::optional<Spikes> Spikes::of(const at::Tensor& x, double most) {
  Spikes spikes;
  spikes.rows_ = x.size(0);
  spikes.columns_ = x.size(1);
  if (spikes.columns_ > 65535 || x.numel() == 0) return std::nullopt;
  const std::int64_t blocks = (spikes.columns_ + columns_per_block - 1) / columns_per_block;
  spikes.words_per_row_ = blocks * lanes;
  spikes.words_.resize(static_cast<std::size_t>(spikes.rows_ * spikes.words_per_row_));
  const auto limit = static_cast<std::int64_t>(most * static_cast<double>(x.numel()));
  bool fits = true;
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "spikes", [&] {
    const scalar_t* data = x.data_ptr<scalar_t>();
    for (std::int64_t row = 0; fits && row < spikes.rows_; ++row) {
      std::uint32_t* words = spikes.words_.data() + row * spikes.words_per_row_;
      fits = loops<scalar_t>().snu.pack(data + row * spikes.columns_, spikes.columns_, words);
      for (std::int64_t w = 0; w < spikes.words_per_row_; ++w) spikes.ones_ += std::popcount(words[w]);
      fits = fits && spikes.ones_ <= limit;
    }
  });
  if (!fits) return std::nullopt;
  return spikes;
}

std::int64_t Spikes::names_of(std::int64_t row, std::int64_t begin, std::int64_t end, std::uint16_t* names) const {
  const std::uint32_t* words = words_.data() + row * words_per_row_;
  std::int64_t count = 0;
  for (std::int64_t block = 0; block * lanes < words_per_row_; ++block)
    for (std::int64_t lane = begin; lane < end; ++lane)
      for (std::uint32_t word = words[block * lanes + lane]; word != 0; word &= word - 1)
        names[count++] = static_cast<std::uint16_t>(block * columns_per_block + lane + lanes * std::countr_zero(word));
  return count;
}

template <class T>
void Spikes::add(const at::Tensor& M, const at::Tensor& out) const {
  const std::int64_t n = M.size(1);
  const T* from = M.data_ptr<T>();
  T* to = out.data_ptr<T>();
  in_parallel(rows_, ones_ * n, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::uint16_t> names(static_cast<std::size_t>(columns_));
    for (std::int64_t row = begin; row < end; ++row)
      loops<T>().snu.sum_named(names.data(), names_of(row, 0, lanes, names.data()), from, n, n, to + row * n);
  });
}

/// The columns of some lanes: nobody else adds to them, so that threads need not meet.
template <class T>
void Spikes::add_transposed(const at::Tensor& M, const at::Tensor& out, std::int64_t first_lane,
                            std::int64_t end_lane) const {
  const std::int64_t n = M.size(1);
  T* to = out.data_ptr<T>();
  std::vector<std::uint16_t> all(static_cast<std::size_t>(rows_together * columns_));  // names, row after row
  std::vector<std::uint16_t> rows;                                         // of the rows together, column after column
  std::vector<std::int64_t> ends(static_cast<std::size_t>(columns_ + 1));  // where each column's rows end in `rows`
  for (std::int64_t first = 0; first < rows_; first += rows_together) {
    const std::int64_t count = std::min(rows_together, rows_ - first);
    std::fill(ends.begin(), ends.end(), 0);
    std::vector<std::int64_t> begins = {0};
    for (std::int64_t row = 0; row < count; ++row) {
      std::uint16_t* at = all.data() + begins.back();
      const std::int64_t ones = names_of(first + row, first_lane, end_lane, at);
      for (std::int64_t k = 0; k < ones; ++k) ++ends[at[k] + 1U];
      begins.push_back(begins.back() + ones);
    }
    for (std::size_t i = 1; i < ends.size(); ++i) ends[i] += ends[i - 1];
    rows.resize(static_cast<std::size_t>(begins.back()));
    for (std::int64_t row = 0; row < count; ++row)
      for (std::int64_t k = begins[static_cast<std::size_t>(row)]; k < begins[static_cast<std::size_t>(row) + 1]; ++k)
        rows[static_cast<std::size_t>(ends[all[static_cast<std::size_t>(k)]]++)] = static_cast<std::uint16_t>(row);
    // Now ends[i] is where column i ends, and where column i + 1 begins.
    const T* from = M.data_ptr<T>() + first * n;
    for (std::int64_t i = 0, start = 0; i < columns_; ++i) {
      const std::int64_t end = ends[static_cast<std::size_t>(i)];
      if (end > start) loops<T>().snu.sum_named(rows.data() + start, end - start, from, n, n, to + i * n);
      start = end;
    }
  }
}

void Spikes::add_product(const at::Tensor& M, const at::Tensor& out) const {
  AT_DISPATCH_FLOATING_TYPES(M.scalar_type(), "spikes", [&] { add<scalar_t>(M, out); });
}

void Spikes::add_transposed_product(const at::Tensor& M, const at::Tensor& out) const {
  AT_DISPATCH_FLOATING_TYPES(M.scalar_type(), "spikes", [&] {
    in_parallel(lanes, ones_ * M.size(1),
                [&](std::int64_t begin, std::int64_t end) { add_transposed<scalar_t>(M, out, begin, end); });
  });
}

}  // namespace grapes::kernels
