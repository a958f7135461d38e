#pragma once

// Used only by the tests of this module.

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/data/collection.h"

#include <ATen/ops/arange.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace grapes::data {

/// A folder in the system's temporary folder, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "grapes-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw DataError("cannot make a temporary folder " + name);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// All examples of a data set for this seed.
inline at::Tensor all_inputs(const Dataset& set, std::uint64_t seed = 0) {
  return set.get(at::arange(set.size(), at::kLong), seed).inputs;
}

/// The message of the error that a call throws, or a text that no test expects.
template <class E = DataError, class Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  return "(nothing was refused)";
}

inline std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 255);
  return bytes;
}

inline std::string idx_images_file(std::uint32_t count, std::uint32_t rows, std::uint32_t columns) {
  std::string bytes = big_endian(2051) + big_endian(count) + big_endian(rows) + big_endian(columns);
  for (std::uint32_t i = 0; i < count * rows * columns; ++i) bytes += static_cast<char>(i % 256);
  return bytes;
}

/// Labels 0, 1, ..., 9, 0, ...
inline std::string idx_labels_file(std::uint32_t count) {
  std::string bytes = big_endian(2049) + big_endian(count);
  for (std::uint32_t i = 0; i < count; ++i) bytes += static_cast<char>(i % 10);
  return bytes;
}

/// Where the files of a source are that tests cannot create: in GRAPES_DATA, or next to the repository.
inline std::filesystem::path shared_data(const std::string& source) {
  const char* given = std::getenv("GRAPES_DATA");
  const std::filesystem::path root = given && *given ? given : GRAPES_SOURCE_DIR "/../shared/data";
  return root / source;
}

inline std::string gzip(const std::string& content) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, content.size()) + 64, '\0');
  std::string input = content;
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

/// Bytes of values, in the reverse order if they are swapped.
template <class T>
inline std::string raw(std::initializer_list<T> values, bool swapped = false) {
  std::string bytes;
  for (const T& value : values) {
    std::string one(reinterpret_cast<const char*>(&value), sizeof value);
    if (swapped) std::reverse(one.begin(), one.end());
    bytes += one;
  }
  return bytes;
}

/// The format that NumPy writes.
inline std::string npy_file(const std::string& type, const std::string& shape, const std::string& data, int version = 1,
                            const std::string& order = "False") {
  std::string header = "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
  const std::size_t width = version == 1 ? 2 : 4;
  while ((8 + width + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  for (std::size_t i = 0; i < width; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 255);
  return bytes + header + data;
}

/// A zip archive; entries of more than 100 bytes are deflated.
inline std::string zip_file(const std::vector<std::pair<std::string, std::string>>& entries) {
  const auto little = [](std::uint64_t value, int width) {
    std::string bytes;
    for (int i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i) & 255);
    return bytes;
  };
  std::string archive, directory;
  for (const auto& [name, content] : entries) {
    std::string packed = content;
    const bool deflated = content.size() > 100;
    if (deflated) {  // without gzip's header of 10 and end of 8 bytes
      packed = gzip(content);
      packed = packed.substr(10, packed.size() - 18);
    }
    const std::string sizes =
        little(crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size())), 4) +
        little(packed.size(), 4) + little(content.size(), 4) + little(name.size(), 2) + little(0, 2);
    const std::string method = little(0, 2) + little(deflated ? 8 : 0, 2) + little(0, 4) + sizes;
    directory +=
        "PK\x01\x02" + little(20, 2) + little(20, 2) + method + little(0, 10) + little(archive.size(), 4) + name;
    archive += "PK\x03\x04" + little(20, 2) + method + name + packed;
  }
  return archive + directory + "PK\x05\x06" + little(0, 4) + little(entries.size(), 2) + little(entries.size(), 2) +
         little(directory.size(), 4) + little(archive.size(), 4) + little(0, 2);
}

/// Sets an environment variable for the duration of a test.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    had_ = std::getenv(name) != nullptr;
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() { had_ ? ::setenv(name_, old_.c_str(), 1) : ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::string old_;
  bool had_ = false;
};

}  // namespace grapes::data
