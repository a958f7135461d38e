#include "grapes/kernels/spikes.h"

#include "grapes/base/random.h"
#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/threads.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace grapes::kernels {
namespace {

constexpr std::int64_t columns_per_block = 512;
/// Number of rows of an error that are processed together for all columns: a quarter of a megabyte with 256 units.
constexpr std::int64_t rows_together = 256;

/// Counts bits by pairs, fours and eights. std::popcount would be a call without the processor's own instruction; this
/// is vectorized.
constexpr std::uint32_t ones_in(std::uint32_t word) {
  word -= word >> 1 & 0x55555555U;
  word = (word & 0x33333333U) + (word >> 2 & 0x33333333U);
  word = (word + (word >> 4)) & 0x0f0f0f0fU;
  return word * 0x01010101U >> 24;
}

}  // namespace

std::int64_t words_for(std::int64_t columns) { return (columns + columns_per_block - 1) / columns_per_block * 16; }

at::Tensor pack(const at::Tensor& x) {
  const at::Tensor rows = x.contiguous();
  std::vector<std::int64_t> shape = x.sizes().vec();
  const std::int64_t columns = shape.back(), words = words_for(columns), count = columns == 0 ? 0 : x.numel() / columns;
  shape.back() = words;
  at::Tensor packed = at::empty(shape, at::kInt);
  auto* to = reinterpret_cast<std::uint32_t*>(packed.data_ptr<std::int32_t>());
  bool binary = true;
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "pack", [&] {
    const scalar_t* from = rows.data_ptr<scalar_t>();
    for (std::int64_t row = 0; binary && row < count; ++row)
      binary = loops<scalar_t>().snu.pack(from + row * columns, columns, to + row * words);
  });
  return binary ? packed : at::Tensor();
}

at::Tensor draw_spikes(const at::Tensor& x, std::int64_t steps, double rate, std::uint64_t seed,
                       const at::Tensor& streams) {
  const std::int64_t batch = x.size(0), in = x.size(1), words = words_for(in);
  const at::Tensor numbers = streams.contiguous();
  const std::int64_t* stream = numbers.data_ptr<std::int64_t>();
  at::Tensor packed = at::empty({steps, batch, words}, at::kInt);
  std::vector<std::uint32_t> spikes(static_cast<std::size_t>(steps * words));  // of one example
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "draw_spikes", [&] {
    const scalar_t* value = x.data_ptr<scalar_t>();
    for (std::int64_t b = 0; b < batch; ++b) {
      std::fill(spikes.begin(), spikes.end(), 0);
      Random random(stream_seed(seed, "spikes", static_cast<std::uint64_t>(stream[b])));
      for (std::int64_t i = 0; i < in; ++i) {
        if (!(value[b * in + i] > 0)) continue;
        const double p = std::clamp(static_cast<double>(value[b * in + i]), 0.0, 1.0) * rate;
        const auto below = static_cast<std::uint64_t>(std::lround(p * 0x1p16));
        if (below == 0) continue;
        const BitPlace place = place_of(i);
        std::uint32_t* word = spikes.data() + place.word;
        for (std::int64_t t = 0; t < steps; t += 4) {
          std::uint64_t bits = random();
          // No branch on random numbers: it would be mispredicted.
          for (std::int64_t k = t; k < std::min(t + 4, steps); ++k, bits >>= 16)
            word[k * words] |= static_cast<std::uint32_t>((bits & 0xffff) < below) << place.bit;
        }
      }
      auto* to = reinterpret_cast<std::uint32_t*>(packed.data_ptr<std::int32_t>()) + b * words;
      for (std::int64_t t = 0; t < steps; ++t) std::copy_n(spikes.data() + t * words, words, to + t * batch * words);
    }
  });
  return packed;
}

at::Tensor unpack(const at::Tensor& packed, std::int64_t columns, at::ScalarType dtype) {
  std::vector<std::int64_t> shape = packed.sizes().vec();
  const std::int64_t words = shape.back(), count = packed.numel() / words;
  TORCH_CHECK(words == words_for(columns), "unpack: ", columns, " columns need ", words_for(columns),
              " words per row; got ", words);
  shape.back() = columns;
  at::Tensor x = at::empty(shape, at::dtype(dtype));
  const at::Tensor rows = packed.contiguous();
  const auto* from = reinterpret_cast<const std::uint32_t*>(rows.data_ptr<std::int32_t>());
  AT_DISPATCH_FLOATING_TYPES(dtype, "unpack", [&] {
    scalar_t* to = x.data_ptr<scalar_t>();
    for (std::int64_t row = 0; row < count; ++row, from += words)
      for (std::int64_t i = 0; i < columns; ++i, ++to) {
        const BitPlace place = place_of(i);
        *to = static_cast<scalar_t>(from[place.word] >> place.bit & 1U);
      }
  });
  return x;
}

std::optional<Spikes> Spikes::of(const at::Tensor& x, std::int64_t columns, double most) {
  if (columns > 65535 || x.numel() == 0) return std::nullopt;
  Spikes spikes;
  spikes.rows_ = x.size(0);
  spikes.columns_ = columns;
  spikes.words_per_row_ = words_for(columns);
  spikes.words_ = is_packed(x) ? x : pack(x);
  if (!spikes.words_.defined()) return std::nullopt;
  const auto* words = reinterpret_cast<const std::uint32_t*>(spikes.words_.data_ptr<std::int32_t>());
  for (std::int64_t w = 0; w < spikes.words_.numel(); ++w) spikes.ones_ += ones_in(words[w]);
  if (spikes.density() > most) return std::nullopt;
  return spikes;
}

std::int64_t Spikes::names_of(std::int64_t row, std::int64_t begin, std::int64_t end, std::uint16_t* names) const {
  const auto* words = reinterpret_cast<const std::uint32_t*>(words_.data_ptr<std::int32_t>()) + row * words_per_row_;
  std::int64_t count = 0;
  for (std::int64_t block = 0; block * lanes < words_per_row_; ++block)
    for (std::int64_t lane = begin; lane < end; ++lane)
      for (std::uint32_t word = words[block * lanes + lane]; word != 0; word &= word - 1)
        names[count++] = static_cast<std::uint16_t>(block * columns_per_block + lane + lanes * std::countr_zero(word));
  return count;
}

template <class T>
void Spikes::sum(const at::Tensor& M, const at::Tensor& out) const {
  const std::int64_t n = M.size(1);
  const T* from = M.data_ptr<T>();
  T* to = out.data_ptr<T>();
  in_parallel(rows_, ones_ * n, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::uint16_t> names(static_cast<std::size_t>(columns_));
    for (std::int64_t row = begin; row < end; ++row) {
      std::fill_n(to + row * n, n, T(0));
      loops<T>().snu.sum_named(names.data(), names_of(row, 0, lanes, names.data()), from, n, n, to + row * n);
    }
  });
}

/// The columns of some lanes. Each thread has its own lanes, so no synchronization is needed.
template <class T>
void Spikes::sum_transposed(const at::Tensor& M, const at::Tensor& out, std::int64_t first_lane,
                            std::int64_t end_lane) const {
  const std::int64_t n = M.size(1);
  T* to = out.data_ptr<T>();
  std::vector<std::uint16_t> all(
      static_cast<std::size_t>(rows_together * columns_));  // columns of the ones, row after row
  std::vector<std::uint16_t> rows;                          // rows of the ones, column after column
  std::vector<std::int64_t> ends(
      static_cast<std::size_t>(columns_ + 1));  // where the rows of each column end in `rows`
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
    // ends[i] is now where column i ends and column i + 1 begins.
    const T* from = M.data_ptr<T>() + first * n;
    for (std::int64_t i = 0, start = 0; i < columns_; ++i) {
      const std::int64_t end = ends[static_cast<std::size_t>(i)];
      if (first == 0 && i % lanes >= first_lane && i % lanes < end_lane) std::fill_n(to + i * n, n, T(0));
      if (end > start) loops<T>().snu.sum_named(rows.data() + start, end - start, from, n, n, to + i * n);
      start = end;
    }
  }
}

void Spikes::product(const at::Tensor& M, const at::Tensor& out) const {
  AT_DISPATCH_FLOATING_TYPES(M.scalar_type(), "spikes", [&] { sum<scalar_t>(M, out); });
}

void Spikes::transposed_product(const at::Tensor& M, const at::Tensor& out) const {
  AT_DISPATCH_FLOATING_TYPES(M.scalar_type(), "spikes", [&] {
    in_parallel(lanes, ones_ * M.size(1),
                [&](std::int64_t begin, std::int64_t end) { sum_transposed<scalar_t>(M, out, begin, end); });
  });
}

}  // namespace grapes::kernels
