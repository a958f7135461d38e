#include "grapes/data/npy.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/data/elements.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>

namespace grapes::data {
namespace {

/// Reads the header, a dictionary in Python's syntax: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class NpyHeader {
 public:
  NpyHeader(std::string_view text, const std::string& file) : rest_(text), file_(file) {
    expect('{');
    while (!take('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr") {
        if (take('[')) fail("has named fields, expected plain numbers; save one field of it");
        type = string();
      } else if (key == "fortran_order") {
        const std::string order = word();
        if (order != "False" && order != "True") fail("has the order '" + order + "', expected True or False");
        fortran = order == "True";
      } else if (key == "shape") {
        sizes();
      } else {
        fail("has an unknown key '" + key + "' in its header");
      }
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    if (type.empty() || !has_shape_) fail("has no descr or no shape in its header");
  }
  [[noreturn]] void fail(const std::string& why) const { throw DataError(file_ + ": the NPY array " + why); }

  std::string type;
  bool fortran = false;
  std::vector<std::int64_t> shape;

 private:
  void skip() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n')) rest_.remove_prefix(1);
  }
  bool take(char c) {
    skip();
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(std::string("has a header that lacks a '") + c + "', or is not of a plain type");
  }
  std::string string() {
    expect('\'');
    const std::size_t end = std::min(rest_.find('\''), rest_.size());
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end);
    expect('\'');
    return text;
  }
  std::string word() {
    skip();
    const std::size_t end = std::min(rest_.find_first_of(",}) \n"), rest_.size());
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return text;
  }
  void sizes() {
    has_shape_ = true;
    shape.clear();
    expect('(');
    while (!take(')')) {
      const std::string text = word();
      const std::optional<long long> size = to_integer(text);
      if (!size || *size < 0) fail("has '" + text + "' as a size in its shape, expected a whole number");
      shape.push_back(*size);
      if (!take(',')) {
        expect(')');
        break;
      }
    }
  }

  std::string_view rest_;
  const std::string& file_;
  bool has_shape_ = false;
};

/// Removes the header from `bytes` and returns its text.
std::string_view take_header(std::string_view& bytes, const std::string& file) {
  if (bytes.substr(0, 6) != "\x93NUMPY")
    throw DataError(file + ": not an NPY file (it does not begin with \\x93NUMPY)");
  if (bytes.size() < 12) throw DataError(file + ": truncated within the NPY header");
  const int version = static_cast<unsigned char>(bytes[6]);
  if (version < 1 || version > 3) {
    throw DataError(fmt::format("{}: NPY version {}, expected 1, 2 or 3", file, version));
  }
  const std::size_t width = version == 1 ? 2 : 4;  // of the header's length, little-endian
  std::size_t length = 0;
  for (std::size_t i = 0; i < width; ++i) length |= std::size_t{static_cast<unsigned char>(bytes[8 + i])} << (8 * i);
  bytes.remove_prefix(8 + width);
  if (bytes.size() < length) throw DataError(file + ": truncated within the NPY header");
  const std::string_view header = bytes.substr(0, length);
  bytes.remove_prefix(length);
  return header;
}

ElementType element_type(const NpyHeader& header) {
  const std::string& text = header.type;
  static const std::pair<char, const char*> refused[] = {
      {'O', "Python objects"},
      {'c', "complex numbers"},
      {'M', "dates"},
      {'m', "time spans"},
      {'V', "raw bytes, or a type that NumPy does not have, like bfloat16"}};
  ElementType type;
  if (text.size() >= 2) {
    const bool big = text[0] == '>';
    type.swapped = (text[0] == '>' || text[0] == '<') && big != (std::endian::native == std::endian::big);
    type.kind = text[1];
    for (const auto& [kind, what] : refused)
      if (type.kind == kind)
        header.fail(
            fmt::format("has {} (type '{}'), expected numbers: convert it with .astype('float32')", what, text));
    type.size = static_cast<std::size_t>(to_integer(std::string_view(text).substr(2)).value_or(0));
  }
  static constexpr std::string_view numbers[] = {"b1", "i1", "i2", "i4", "i8", "u1", "u2",
                                                 "u4", "u8", "f2", "f4", "f8", "f16"};
  const bool strings = type.kind == 'U' || type.kind == 'S';
  if (text.size() < 3 ||
      (!strings && std::find(std::begin(numbers), std::end(numbers), text.substr(1)) == std::end(numbers)))
    header.fail("has the type '" + text + "', expected numbers: b1, i1 to i8, u1 to u8 or f2 to f16");
  if (type.kind != 'U') type.swapped = type.swapped && type.size > 1;
  if (type.kind == 'U') type.size *= 4;
  return type;
}

/// Strings of fixed size, filled up with zeros: bytes, or code points of 32 bits.
std::vector<std::string> texts_of(std::string_view bytes, const ElementType& type) {
  std::vector<std::string> texts;
  for (std::size_t begin = 0; type.size > 0 && begin < bytes.size(); begin += type.size) {
    const std::string_view cell = bytes.substr(begin, type.size);
    std::string& text = texts.emplace_back();
    if (type.kind == 'S') {
      text = cell.substr(0, std::min(cell.find('\0'), cell.size()));
      continue;
    }
    for (std::size_t at = 0; at < cell.size(); at += 4) {
      std::uint32_t c = 0;
      for (std::size_t i = 0; i < 4; ++i) {
        const std::size_t from = (std::endian::native == std::endian::big) != type.swapped ? i : 3 - i;
        c = c << 8 | static_cast<unsigned char>(cell[at + from]);
      }
      if (c == 0) break;
      const auto add = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
      if (c < 0x80) {
        add(c);
      } else if (c < 0x800) {
        add(0xc0 | c >> 6), add(0x80 | (c & 63));
      } else if (c < 0x10000) {
        add(0xe0 | c >> 12), add(0x80 | (c >> 6 & 63)), add(0x80 | (c & 63));
      } else {
        add(0xf0 | (c >> 18 & 7)), add(0x80 | (c >> 12 & 63)), add(0x80 | (c >> 6 & 63)), add(0x80 | (c & 63));
      }
    }
  }
  return texts;
}

}  // namespace

StoredArray npy_array(std::string_view bytes, const std::string& file, const std::shared_ptr<const void>& owner) {
  const NpyHeader header(take_header(bytes, file), file);
  const ElementType type = element_type(header);
  std::uint64_t size = type.size;
  for (const std::int64_t extent : header.shape) {
    // The file must contain as many bytes as the shape says. Checked at each step, so that the product cannot
    // overflow.
    if (extent != 0 && size > bytes.size() / static_cast<std::uint64_t>(extent))
      size = bytes.size() + 1;
    else
      size *= static_cast<std::uint64_t>(extent);
    if (size > bytes.size()) break;
  }
  if (size != bytes.size()) {
    throw DataError(fmt::format("{}: {} bytes follow the header, {} for the shape [{}] of type {}", file, bytes.size(),
                                size > bytes.size() ? "too few" : "too many", fmt::join(header.shape, ", "),
                                header.type));
  }
  if (type.kind == 'U' || type.kind == 'S') {
    if (header.shape.size() != 1 && !(header.shape.size() == 2 && header.shape[1] == 1))
      header.fail(fmt::format("has strings of shape [{}], expected [n]", fmt::join(header.shape, ", ")));
    return {{}, texts_of(bytes, type)};
  }
  if (!header.fortran || header.shape.size() < 2) return {elements(bytes, type, header.shape, owner)};
  // In Fortran's order the first index runs fastest: an array in C order with its dimensions reversed.
  std::vector<std::int64_t> reversed(header.shape.rbegin(), header.shape.rend()), order(reversed.size());
  std::iota(order.rbegin(), order.rend(), 0);
  return {elements(bytes, type, reversed, owner).permute(order).contiguous()};
}

}  // namespace grapes::data
