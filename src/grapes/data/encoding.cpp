#include "grapes/data/encoding.h"

#include "grapes/base/error.h"

#include <fmt/format.h>
#include <iconv.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace grapes::data {
namespace {

struct Mark {
  std::string_view bytes;
  const char* encoding;
};
constexpr Mark marks[] = {{"\xef\xbb\xbf", "UTF-8"}, {"\xff\xfe", "UTF-16LE"}, {"\xfe\xff", "UTF-16BE"}};

bool is_ascii(std::string_view text) {
  std::uint64_t high = 0;
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i, 8);
    high |= word;
  }
  for (; i < text.size(); ++i) high |= static_cast<unsigned char>(text[i]);
  return (high & 0x8080808080808080U) == 0;
}

class Converter {
 public:
  explicit Converter(const std::string& from) : handle_(iconv_open("UTF-8", from.c_str())) {
    if (handle_ == invalid())
      throw UsageError("encoding", from + ": unknown; expected auto, or a name like utf-8, " +
                                       "utf-16, latin1, windows-1252 or shift-jis");
  }
  ~Converter() { iconv_close(handle_); }
  Converter(const Converter&) = delete;
  Converter& operator=(const Converter&) = delete;

  /// Appends the converted bytes. @return how many bytes could be converted
  std::size_t operator()(std::string_view bytes, std::string& into) {
    char buffer[1 << 14];
    char* in = const_cast<char*>(bytes.data());  // NOLINT: iconv only reads it
    std::size_t left = bytes.size();
    while (left > 0) {
      char* out = buffer;
      std::size_t room = sizeof buffer;
      const std::size_t done = iconv(handle_, &in, &left, &out, &room);
      into.append(buffer, sizeof buffer - room);
      if (done == static_cast<std::size_t>(-1) && room == sizeof buffer) break;
    }
    return bytes.size() - left;
  }

 private:
  static iconv_t invalid() { return reinterpret_cast<iconv_t>(-1); }  // NOLINT: the error value in iconv.h
  iconv_t handle_;
};

/// The encoding of bytes without a mark.
std::string guess_encoding(std::string_view bytes) {
  const std::string_view start = bytes.substr(0, 4096);
  std::size_t zeros[2] = {0, 0};
  for (std::size_t i = 0; i < start.size(); ++i) zeros[i % 2] += start[i] == '\0';
  if (start.size() >= 4 && 4 * std::max(zeros[0], zeros[1]) > start.size() &&
      8 * std::min(zeros[0], zeros[1]) < start.size())
    return zeros[1] > zeros[0] ? "UTF-16LE" : "UTF-16BE";
  if (is_ascii(bytes)) return "UTF-8";
  std::string ignored;
  return Converter("UTF-8")(bytes, ignored) == bytes.size() ? "UTF-8" : "WINDOWS-1252";
}

}  // namespace

DecodedText decode(std::string_view bytes, const std::string& encoding, const std::string& file) {
  std::string from = encoding == "auto" ? "" : encoding;
  for (const Mark& mark : marks) {
    if (!bytes.starts_with(mark.bytes)) continue;
    bytes.remove_prefix(mark.bytes.size());
    if (from.empty()) from = mark.encoding;
    break;
  }
  if (from.empty()) from = guess_encoding(bytes);
  if (from == "UTF-8" && is_ascii(bytes)) return {bytes, from};
  std::string text;
  if (Converter(from)(bytes, text) < bytes.size())
    throw DataError(fmt::format("{}, line {}: a byte that is not {}; set encoding", file,
                                1 + std::count(text.begin(), text.end(), '\n'), from));
  const auto converted = std::make_shared<const std::string>(std::move(text));
  return {*converted, from, converted};
}

}  // namespace grapes::data
