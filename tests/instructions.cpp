// Runs one of the kernels' loops a number of times, for instructions.py. It uses the loops for AVX2, because Valgrind
// does not know AVX-512, and no LibTorch, which would take a minute to start there.
#include "grapes/kernels/loops.h"

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

int main(int count, char** words) {
  using grapes::kernels::Product;
  using grapes::kernels::Rows;
  constexpr std::int64_t units = 256, inputs = 200, batch = 64, few = 8;
  const auto numbers = [](std::int64_t n) {
    std::vector<float> values(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 7919 % 1000) / 1000 - 0.5F;
    return values;
  };
  std::vector<float> W = numbers(units * inputs), state = numbers(units * inputs), h = numbers(batch * inputs),
                     delta = numbers(batch * units), value = numbers(batch * inputs), sums = numbers(units),
                     room = numbers(batch * 256 + units * 16), gradient = numbers(units * inputs);
  std::vector<std::uint16_t> names;
  for (std::uint16_t i = 0; i < 100; ++i) names.push_back(static_cast<std::uint16_t>(2 * i));
  if (!__builtin_cpu_supports("avx2")) return 77;
  const auto& loops = grapes::kernels::avx2::loops().float32;
  const Product<float> by_delta{units, inputs, few, delta.data(), 1, units, h.data(), inputs, room.data()};
  Rows<float> rows{units, inputs, W.data(), gradient.data(), state.data(), nullptr, sums.data()};
  Rows<float> of_product = rows;
  of_product.product = &by_delta;
  of_product.parts = room.data() + few * grapes::kernels::widest_tile;
  const std::map<std::string, std::function<void()>> kernels = {
      {"product",
       [&] {
         loops.product({batch, inputs, units, delta.data(), units, 1, W.data(), inputs, room.data()}, 1, 0, value.data(),
                       inputs);
       }},
      {"dots", [&] { loops.dots(h.data(), inputs, W.data(), inputs, few, units, inputs, 1, 0, delta.data(), units); }},
      {"abs_sums", [&] { loops.abs_sums(W.data(), units, inputs, sums.data()); }},
      {"momentum", [&] { loops.momentum({0.0F, 0.0F, 0.9F}, rows); }},
      {"momentum by a product", [&] { loops.momentum({0.0F, 0.0F, 0.9F}, of_product); }},
      {"dropout_mask", [&] { loops.dropout_mask(1, 2, 0, inputs, 1U << 31, 2, value.data()); }},
      {"sum_named",
       [&] {
         loops.snu.sum_named(names.data(), static_cast<std::int64_t>(names.size()), W.data(), inputs, inputs,
                             value.data());
       }},
  };
  const auto found = count == 3 ? kernels.find(words[1]) : kernels.end();
  if (found == kernels.end()) return 2;
  for (int left = std::atoi(words[2]); left > 0; --left) found->second();
}
