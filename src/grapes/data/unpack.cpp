#include "grapes/data/unpack.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/mapped_file.h"

#include <fmt/format.h>
#include <lzma.h>
#include <zlib.h>

#include <algorithm>

namespace grapes::data {
namespace {

bool is_xz(std::string_view bytes) {
  constexpr char magic[] = "\xfd\x37zXZ";  // with its terminating zero
  return bytes.substr(0, sizeof magic) == std::string_view(magic, sizeof magic);
}

bool is_gzip(std::string_view bytes) { return bytes.substr(0, 2) == "\x1f\x8b"; }

class Inflater {
 public:
  Inflater() { inflateInit2(&stream, 15 + 16); }  // 16: gzip, with its CRC-32 checked by zlib
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  z_stream stream{};
};

}  // namespace

std::string gunzip(std::string_view bytes, const std::string& file) {
  constexpr std::size_t piece = 1 << 20;
  if (!is_gzip(bytes)) throw DataError(file + ": not a gzip file (it does not begin with the bytes 1f 8b)");
  std::string content, unpacked(piece, '\0');
  while (!bytes.empty()) {
    if (!is_gzip(bytes))
      throw DataError(fmt::format("{}: {} bytes follow the end of the gzip data", file, bytes.size()));
    Inflater inflater;
    z_stream& stream = inflater.stream;
    int state = Z_OK;
    while (state != Z_STREAM_END) {
      // zlib counts in 32 bits, so input and output are passed in pieces.
      stream.next_out = reinterpret_cast<Bytef*>(unpacked.data());
      stream.avail_out = piece;
      const auto offered = static_cast<uInt>(std::min(bytes.size(), piece));
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));  // NOLINT: zlib only reads it
      stream.avail_in = offered;
      state = inflate(&stream, Z_NO_FLUSH);
      bytes.remove_prefix(offered - stream.avail_in);
      content.append(unpacked, 0, piece - stream.avail_out);
      if (state == Z_BUF_ERROR || (state == Z_OK && bytes.empty() && stream.avail_out > 0))
        throw DataError(fmt::format("{}: the gzip data is truncated after {} unpacked bytes", file, content.size()));
      if (state != Z_OK && state != Z_STREAM_END)
        throw DataError(fmt::format("{}: the gzip data is corrupt ({})", file, stream.msg ? stream.msg : "zlib error"));
    }
  }
  return content;
}

std::string unxz(std::string_view bytes, const std::string& file) {
  constexpr std::uint64_t memory = std::uint64_t{1} << 30;
  if (!is_xz(bytes)) throw DataError(file + ": not an xz file (it does not begin with fd 37 7a 58 5a 00)");
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, memory, LZMA_CONCATENATED) != LZMA_OK)
    throw DataError(file + ": liblzma is out of memory");
  stream.next_in = reinterpret_cast<const std::uint8_t*>(bytes.data());
  stream.avail_in = bytes.size();
  std::string content, unpacked(1 << 20, '\0');
  lzma_ret state = LZMA_OK;
  while (state == LZMA_OK) {
    stream.next_out = reinterpret_cast<std::uint8_t*>(unpacked.data());
    stream.avail_out = unpacked.size();
    state = lzma_code(&stream, LZMA_FINISH);
    content.append(unpacked, 0, unpacked.size() - stream.avail_out);
  }
  lzma_end(&stream);
  if (state == LZMA_BUF_ERROR)
    throw DataError(fmt::format("{}: the xz data is truncated after {} unpacked bytes", file, content.size()));
  if (state != LZMA_STREAM_END) throw DataError(file + ": the xz data is corrupt");
  return content;
}

std::string unpacked(std::string bytes, const std::string& file) {
  if (file.ends_with(".xz") || is_xz(bytes)) return unxz(bytes, file);
  if (file.ends_with(".gz") || is_gzip(bytes)) return gunzip(bytes, file);
  return bytes;
}

std::string read_unpacked(const std::filesystem::path& path) { return unpacked(read_file(path), path.string()); }

UnpackedFile open_unpacked(const std::filesystem::path& path) {
  const std::string name = path.string();
  const auto owned = [&](std::string bytes) -> UnpackedFile {
    const auto content = std::make_shared<const std::string>(unpacked(std::move(bytes), name));
    return {name, *content, content};
  };
  if (!std::filesystem::is_regular_file(path)) return owned(read_file(path));
  const auto mapped = MappedFile::open(path);
  if (!name.ends_with(".xz") && !name.ends_with(".gz") && !is_xz(mapped->bytes()) && !is_gzip(mapped->bytes()))
    return {name, mapped->bytes(), mapped};
  return owned(std::string(mapped->bytes()));
}

}  // namespace grapes::data
