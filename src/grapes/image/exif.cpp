#include "grapes/image/format.h"

namespace grapes::image {
namespace {

std::string_view part(std::string_view bytes, std::size_t at, int size) {
  if (at > bytes.size() || bytes.size() - at < static_cast<std::size_t>(size)) throw Damage("the file is truncated");
  return bytes.substr(at, static_cast<std::size_t>(size));
}

}  // namespace

std::uint32_t little_endian(std::string_view bytes, std::size_t at, int size) {
  std::uint32_t value = 0;
  int shift = 0;
  for (const char byte : part(bytes, at, size)) {
    value |= std::uint32_t{static_cast<std::uint8_t>(byte)} << shift;
    shift += 8;
  }
  return value;
}

std::uint32_t big_endian(std::string_view bytes, std::size_t at, int size) {
  std::uint32_t value = 0;
  for (const char byte : part(bytes, at, size)) value = value << 8 | static_cast<std::uint8_t>(byte);
  return value;
}

int exif_orientation(std::string_view block) {
  constexpr std::uint32_t orientation_tag = 0x112;
  const bool little = block.substr(0, 2) == "II";
  if (!little && block.substr(0, 2) != "MM") return 1;
  const auto number = [&](std::size_t at, int size) {
    return little ? little_endian(block, at, size) : big_endian(block, at, size);
  };
  try {
    const std::size_t directory = number(4, 4);
    const std::uint32_t entries = number(directory, 2);
    for (std::uint32_t i = 0; i < entries; ++i) {
      const std::size_t entry = directory + 2 + std::size_t{12} * i;  // tag, type, count, value
      if (number(entry, 2) != orientation_tag) continue;
      const std::uint32_t orientation = number(entry + 8, 2);
      return orientation >= 1 && orientation <= 8 ? static_cast<int>(orientation) : 1;
    }
  } catch (const Damage&) {
    return 1;  // Cameras write invalid Exif data; the picture is still good.
  }
  return 1;
}

}  // namespace grapes::image
