#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace grapes::data {

/// How the numbers of a table are written.
struct NumberStyle {
  char decimal = '.';
  char thousands = '\0';  ///< between groups of three digits; '\0': none

  /// Reads a number without white space around it, or nothing.
  std::optional<double> operator()(std::string_view text) const;
  /// Reads a number of at most 15 digits without separators and exponent at the beginning of a text: most cells of a
  /// table are such numbers. @return the end of the number, or nullptr if the text begins with none
  const char* read_short(const char* at, const char* end, double& number) const;
};

/// Reads the digits at the beginning of a text and appends them to `value`. @return where they end
inline const char* read_digits(const char* at, const char* end, std::uint64_t& value) {
  static constexpr std::uint64_t powers[] = {1, 10, 100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000};
  // Eight bytes at once, because the length of a number is random, and a loop over its digits would end with a branch
  // that the processor cannot predict.
  if constexpr (std::endian::native == std::endian::little)
    while (end - at >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, at, 8);
      word ^= 0x3030303030303030U;  // digits become 0 ... 9
      const std::uint64_t others = (word | (word + 0x7676767676767676U)) & 0x8080808080808080U;
      const int n = others == 0 ? 8 : std::countr_zero(others) / 8;
      if (n == 0) return at;
      word <<= 8 * (8 - n);                                 // zeros in front
      word = (word & 0x0f0f0f0f0f0f0f0fU) * 2561 >> 8;      // pairs of digits: 10 a + b
      word = (word & 0x00ff00ff00ff00ffU) * 6553601 >> 16;  // pairs of those: 100 a + b
      word = (word & 0x0000ffff0000ffffU) * 42949672960001U >> 32;
      value = value * powers[n] + word;
      at += n;
      if (n < 8) return at;
    }
  for (; at < end && *at >= '0' && *at <= '9'; ++at) value = 10 * value + static_cast<std::uint64_t>(*at - '0');
  return at;
}

// Up to 15 digits are an exact double, and so are powers of ten up to 22, so their quotient is
// the nearest double to the number (Clinger 1990, "How to read floating point numbers accurately").
inline const char* NumberStyle::read_short(const char* at, const char* end, double& number) const {
  static constexpr double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  const bool negative = at < end && *at == '-';
  at += negative;
  std::uint64_t value = 0;
  const char* const first = at;
  at = read_digits(at, end, value);
  const std::ptrdiff_t whole = at - first;
  std::ptrdiff_t fraction = 0;
  if (at < end && *at == decimal) {
    const char* const point = at++;
    at = read_digits(at, end, value);
    fraction = at - point - 1;
  }
  if (whole + fraction == 0 || whole + fraction > 15) return nullptr;
  number = static_cast<double>(value);
  if (fraction > 0) number /= powers[fraction];
  if (negative) number = -number;
  return at;
}

}  // namespace grapes::data
