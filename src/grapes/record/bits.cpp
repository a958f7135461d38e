#include "grapes/record/bits.h"

#include "grapes/base/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace grapes::record {
namespace {

/// Returns the header of a vector of `size` bytes in version 1.0 of the format; its length is a multiple of 64.
std::string npy_header(std::size_t size) {
  std::string text = fmt::format("{{'descr': '|u1', 'fortran_order': False, 'shape': ({},), }}", size);
  text.resize((10 + text.size() + 1 + 63) / 64 * 64 - 11, ' ');
  text += '\n';
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(text.size() % 256) +
         static_cast<char>(text.size() / 256) + text;
}

}  // namespace

std::string packed_bits(const std::vector<bool>& flags) {
  std::string bytes((flags.size() + 7) / 8, '\0');
  for (std::size_t i = 0; i < flags.size(); ++i)
    if (flags[i]) bytes[i / 8] = static_cast<char>(bytes[i / 8] | (0x80 >> (i % 8)));
  return npy_header(bytes.size()) + bytes;
}

std::vector<bool> unpacked_bits(std::string_view bytes, double fraction, const std::string& file) {
  const std::size_t header = bytes.size() < 10 ? 0
                                               : 10 + std::size_t{static_cast<unsigned char>(bytes[8])} +
                                                     256 * std::size_t{static_cast<unsigned char>(bytes[9])};
  if (header == 0 || header > bytes.size() || bytes.substr(0, header) != npy_header(bytes.size() - header))
    throw DataError(file + ": expected a file in NumPy's format with a vector of uint8, as Grapes writes it");
  bytes.remove_prefix(header);
  std::vector<bool> flags;
  for (const char byte : bytes)
    for (int bit = 7; bit >= 0; --bit) flags.push_back((static_cast<unsigned char>(byte) >> bit & 1) != 0);
  const auto set = static_cast<double>(std::count(flags.begin(), flags.end(), true));
  for (std::size_t unused = 0; unused < std::min<std::size_t>(8, flags.size()); ++unused)
    if (std::abs(set / static_cast<double>(flags.size() - unused) - fraction) < 1e-9) {
      flags.resize(flags.size() - unused);
      return flags;
    }
  throw DataError(fmt::format("{}: {} of about {} examples are right, which does not agree with the accuracy {}", file,
                              set, flags.size(), fraction));
}

}  // namespace grapes::record
