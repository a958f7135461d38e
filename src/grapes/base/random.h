#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace grapes {

/// Returns the seed of a random stream: a hash of (root seed, name, a, b). Streams with different names or numbers are
/// independent. No generator state must be saved to resume, because the stream of (seed, "dropout", step) is always the
/// same.
std::uint64_t stream_seed(std::uint64_t root, std::string_view name, std::uint64_t a = 0, std::uint64_t b = 0);

/// Returns the number of splitmix64 (Steele, Lea, Flood 2014) after `state`: a hash. Inline, for loops over many
/// positions.
inline std::uint64_t splitmix(std::uint64_t state) {
  std::uint64_t z = state + 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}
/// The increment of splitmix64's state.
constexpr std::uint64_t splitmix_step = 0x9e3779b97f4a7c15ULL;

/// A small generator with the same numbers on every platform and with every LibTorch (xoshiro256**, Blackman and Vigna
/// 2018, seeded by splitmix64).
class Random {
 public:
  using result_type = std::uint64_t;
  explicit Random(std::uint64_t seed);

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }
  result_type operator()();

  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Uniform in [low, high).
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Normal with mean 0 and standard deviation 1 (polar method).
  double normal();
  /// Uniform in 0 ... n-1, without bias. n > 0.
  std::uint64_t below(std::uint64_t n);

 private:
  std::uint64_t state_[4];
  double spare_ = 0;
  bool has_spare_ = false;
};

/// Returns 0 ... n-1 in random order (Fisher and Yates).
std::vector<std::int64_t> permutation(std::int64_t n, Random& random);

}  // namespace grapes
