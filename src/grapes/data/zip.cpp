#include "grapes/data/zip.h"

#include "grapes/base/error.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>

namespace grapes::data {
namespace {

/// Little-endian numbers at places of an archive.
class ZipBytes {
 public:
  ZipBytes(std::string_view bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  std::uint64_t number(std::uint64_t at, int width) const {
    const std::string_view field = piece(at, static_cast<std::uint64_t>(width));
    std::uint64_t value = 0;
    for (int i = width; i-- > 0;) value = value << 8 | static_cast<unsigned char>(field[static_cast<std::size_t>(i)]);
    return value;
  }
  std::string_view piece(std::uint64_t at, std::uint64_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) refuse("is truncated");
    return bytes_.substr(at, size);
  }
  [[noreturn]] void refuse(const std::string& why) const { throw DataError(file_ + ": the zip archive " + why); }

 private:
  std::string_view bytes_;
  const std::string& file_;
};

constexpr std::uint64_t in_zip64 = 0xffffffff;  // in a field of 32 bits: the number is in a field of 64 bits

}  // namespace

std::map<std::string, ZipEntry> zip_entries(std::string_view bytes, const std::string& file) {
  const ZipBytes zip(bytes, file);
  if (bytes.substr(0, 2) != "PK") throw DataError(file + ": not a zip archive (it does not begin with PK)");
  const std::size_t end = bytes.rfind("PK\x05\x06");
  if (end == std::string_view::npos) zip.refuse("is truncated: it has no directory");
  std::uint64_t count = zip.number(end + 10, 2), at = zip.number(end + 16, 4);
  if (end >= 20 && bytes.substr(end - 20, 4) == "PK\x06\x07") {
    const std::uint64_t end64 = zip.number(end - 20 + 8, 8);
    count = zip.number(end64 + 32, 8);
    at = zip.number(end64 + 48, 8);
  }
  std::map<std::string, ZipEntry> entries;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (zip.piece(at, 4) != "PK\x01\x02") zip.refuse("has a corrupt directory");
    const std::uint64_t flags = zip.number(at + 8, 2), method = zip.number(at + 10, 2);
    const auto crc = static_cast<std::uint32_t>(zip.number(at + 16, 4));
    std::uint64_t packed = zip.number(at + 20, 4), size = zip.number(at + 24, 4), local = zip.number(at + 42, 4);
    const std::uint64_t name_size = zip.number(at + 28, 2), extra_size = zip.number(at + 30, 2);
    const std::string name(zip.piece(at + 46, name_size));
    for (std::uint64_t field = at + 46 + name_size, last = field + extra_size; field + 4 <= last;
         field += 4 + zip.number(field + 2, 2)) {
      if (zip.number(field, 2) != 1) continue;  // zip64: those of the three that do not fit, in this order
      std::uint64_t next = field + 4;
      for (std::uint64_t* value : {&size, &packed, &local})
        if (*value == in_zip64) {
          *value = zip.number(next, 8);
          next += 8;
        }
    }
    if ((flags & 1) != 0) zip.refuse("is encrypted");
    if (method != 0 && method != 8)
      zip.refuse(fmt::format("packs '{}' by method {}, expected stored or deflated", name, method));
    if (zip.piece(local, 4) != "PK\x03\x04") zip.refuse("has a corrupt entry '" + name + "'");
    const std::uint64_t content = local + 30 + zip.number(local + 26, 2) + zip.number(local + 28, 2);
    entries[name] = {zip.piece(content, packed), method == 8, size, crc};
    at += 46 + name_size + extra_size + zip.number(at + 32, 2);
  }
  return entries;
}

std::string unzip(const ZipEntry& entry, const std::string& file, const std::string& name) {
  const auto corrupt = [&] { return DataError(fmt::format("{}: the entry '{}' is corrupt", file, name)); };
  std::string content;
  if (!entry.deflated) {
    content = entry.stored;
  } else {
    constexpr std::size_t piece = 1 << 20;
    z_stream stream{};
    inflateInit2(&stream, -15);  // without a header of zlib or gzip
    std::string_view rest = entry.stored;
    std::string unpacked(piece, '\0');
    int state = Z_OK;
    while (state == Z_OK && content.size() <= entry.size) {
      // zlib counts in 32 bits, so input and output are passed in pieces.
      const auto offered = static_cast<uInt>(std::min(rest.size(), piece));
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest.data()));  // NOLINT: zlib only reads it
      stream.avail_in = offered;
      stream.next_out = reinterpret_cast<Bytef*>(unpacked.data());
      stream.avail_out = piece;
      state = inflate(&stream, Z_NO_FLUSH);
      rest.remove_prefix(offered - stream.avail_in);
      content.append(unpacked, 0, piece - stream.avail_out);
    }
    inflateEnd(&stream);
    if (state != Z_STREAM_END) throw corrupt();
  }
  uLong sum = crc32(0, nullptr, 0);
  for (std::size_t at = 0; at < content.size(); at += 1U << 30U)
    sum = crc32(sum, reinterpret_cast<const Bytef*>(content.data() + at),
                static_cast<uInt>(std::min<std::size_t>(content.size() - at, 1U << 30U)));
  if (content.size() != entry.size || sum != entry.crc) throw corrupt();
  return content;
}

}  // namespace grapes::data
