#pragma once

#include <cstdint>

namespace grapes::kernels {

/// Philox4x32-10 (Salmon et al. 2011): computes four random words from a key and a counter, in place. Always inlined,
/// because it is compiled for several instruction sets and the linker must not pick one of them.
static inline __attribute__((always_inline)) void philox(std::uint64_t key, std::uint32_t& c0, std::uint32_t& c1,
                                                         std::uint32_t& c2, std::uint32_t& c3) {
  std::uint32_t key0 = static_cast<std::uint32_t>(key), key1 = static_cast<std::uint32_t>(key >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53U} * c0, product1 = std::uint64_t{0xCD9E8D57U} * c2;
    c0 = static_cast<std::uint32_t>(product1 >> 32) ^ c1 ^ key0;
    c1 = static_cast<std::uint32_t>(product1);
    c2 = static_cast<std::uint32_t>(product0 >> 32) ^ c3 ^ key1;
    c3 = static_cast<std::uint32_t>(product0);
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
}

}  // namespace grapes::kernels
