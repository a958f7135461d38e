#include "grapes/record/events.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace grapes::record {
namespace {

/// CRC-32C (Castagnoli). zlib's CRC uses another polynomial.
std::uint32_t crc32c(std::string_view bytes) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> made{};
    for (std::uint32_t i = 0; i < made.size(); ++i) {
      std::uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
      made[i] = crc;
    }
    return made;
  }();
  std::uint32_t crc = ~0U;
  for (const char c : bytes) crc = crc >> 8 ^ table[(crc ^ static_cast<unsigned char>(c)) & 0xff];
  return ~crc;
}

/// Checksums stored next to their data are masked, because a checksum over both would be constant.
std::uint32_t masked(std::uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8U; }

template <class Integer>
void append_little_endian(std::string& text, Integer value) {
  for (std::size_t byte = 0; byte < sizeof value; ++byte) text += static_cast<char>(value >> (8 * byte) & 0xff);
}

std::string record(const std::string& content) {
  std::string text;
  append_little_endian(text, static_cast<std::uint64_t>(content.size()));
  append_little_endian(text, masked(crc32c(text)));
  text += content;
  append_little_endian(text, masked(crc32c(content)));
  return text;
}

// The four kinds of protocol buffer fields that are used: a tag of (number << 3 | kind), and the value.
void append_varint(std::string& text, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) text += static_cast<char>(value | 0x80);
  text += static_cast<char>(value);
}
void put_integer(std::string& text, unsigned field, std::uint64_t value) {
  append_varint(text, field << 3);
  append_varint(text, value);
}
void put_double(std::string& text, unsigned field, double value) {
  append_varint(text, field << 3 | 1);
  append_little_endian(text, std::bit_cast<std::uint64_t>(value));
}
void put_bytes(std::string& text, unsigned field, std::string_view bytes) {
  append_varint(text, field << 3 | 2);
  append_varint(text, bytes.size());
  text += bytes;
}
void put_float(std::string& text, unsigned field, float value) {
  append_varint(text, field << 3 | 5);
  append_little_endian(text, std::bit_cast<std::uint32_t>(value));
}

void put_scalar(std::string& summary, const std::string& tag, const nlohmann::json& number) {
  if (!number.is_number() || !std::isfinite(number.get<double>())) return;
  std::string value;
  put_bytes(value, 1, tag);
  put_float(value, 2, number.get<float>());
  put_bytes(summary, 1, value);
}

/// "test_loss" -> "test/loss"; "learning_rate" is unchanged.
std::string tag_of(const std::string& key) {
  for (const std::string part : {"train", "validation", "test"})
    if (key.rfind(part + "_", 0) == 0) return part + "/" + key.substr(part.size() + 1);
  return key;
}

}  // namespace

std::string first_event(double wall_time) {
  std::string content;
  put_double(content, 1, wall_time);
  put_bytes(content, 3, "brain.Event:2");
  return record(content);
}

std::string event(const nlohmann::json& row, double wall_time) {
  std::string summary;
  for (const auto& [key, value] : row.items())
    if (key != "step") put_scalar(summary, tag_of(key), value);
  for (const auto& layer : row.value("layers", nlohmann::json::array())) {
    const std::string name = layer.value("name", "?");
    for (const auto& [key, value] : layer.items()) put_scalar(summary, key + "/" + name, value);
    if (layer.contains("factor"))
      for (const auto& [key, value] : layer["factor"].items()) put_scalar(summary, "factor_" + key + "/" + name, value);
  }
  std::string content;
  put_double(content, 1, wall_time);
  put_integer(content, 2, row.value("step", std::uint64_t{0}));
  put_bytes(content, 5, summary);
  return record(content);
}

Events whole_events(std::string_view file, std::size_t count) {
  constexpr std::size_t around = 8 + 4 + 4;
  std::size_t end = 0, found = 0;
  while (found < count && file.size() - end >= around) {
    std::uint64_t length = 0;
    for (std::size_t byte = 0; byte < 8; ++byte)
      length |= std::uint64_t{static_cast<unsigned char>(file[end + byte])} << (8 * byte);
    if (length > file.size() - end - around) break;
    end += around + length;
    ++found;
  }
  return {file.substr(0, end), found};
}

}  // namespace grapes::record
