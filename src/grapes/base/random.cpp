#include "grapes/base/random.h"

#include <cmath>
#include <numeric>
#include <utility>

namespace grapes {
namespace {

std::uint64_t rotate(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

}  // namespace

std::uint64_t stream_seed(std::uint64_t root, std::string_view name, std::uint64_t a, std::uint64_t b) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a over the name, then each number is mixed in
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  for (const std::uint64_t number : {root, a, b}) {
    hash ^= number;
    hash = splitmix(hash);
  }
  return hash;
}

Random::Random(std::uint64_t seed) {
  for (auto& word : state_) {
    word = splitmix(seed);
    seed += splitmix_step;
  }
}

Random::result_type Random::operator()() {
  const std::uint64_t result = rotate(state_[1] * 5, 7) * 9;
  const std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = rotate(state_[3], 45);
  return result;
}

double Random::uniform() { return static_cast<double>((*this)() >> 11) * 0x1.0p-53; }

double Random::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  double u = 0, v = 0, s = 0;
  do {
    u = uniform(-1, 1);
    v = uniform(-1, 1);
    s = u * u + v * v;
  } while (s >= 1 || s == 0);
  const double scale = std::sqrt(-2 * std::log(s) / s);
  spare_ = v * scale;
  has_spare_ = true;
  return u * scale;
}

std::uint64_t Random::below(std::uint64_t n) {
  const std::uint64_t limit = max() - max() % n;  // reject the last, incomplete block
  std::uint64_t x = 0;
  do x = (*this)();
  while (x >= limit);
  return x % n;
}

std::vector<std::int64_t> permutation(std::int64_t n, Random& random) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

}  // namespace grapes
