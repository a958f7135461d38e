#include "grapes/data/folder.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/data/png.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace grapes::data {
namespace fs = std::filesystem;
namespace {

bool is_png(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension == ".png";
}

struct File {
  fs::path path;
  std::int64_t label;
  std::string bytes;
};

}  // namespace

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (!entry.path().filename().string().starts_with('.')) entries.push_back(entry.path());
  }
  if (error) throw DataError("cannot read the folder " + folder.string() + ": " + error.message());
  std::sort(entries.begin(), entries.end());
  return entries;
}

Collection read_folder(const fs::path& path) {
  std::vector<std::string> classes;
  std::vector<File> files;
  std::int64_t others = 0;
  for (const fs::path& folder : sorted_entries(path)) {
    if (!fs::is_directory(folder)) {
      ++others;
      continue;
    }
    const std::size_t before = files.size();
    for (const fs::path& file : sorted_entries(folder)) {
      if (is_png(file))
        files.push_back({file, static_cast<std::int64_t>(classes.size()), read_file(file)});
      else
        ++others;
    }
    if (files.size() == before)
      throw DataError(folder.string() + ": expected PNG files in this folder of a class; got none");
    classes.push_back(folder.filename().string());
  }
  if (classes.size() < 2)
    throw DataError(fmt::format("{}: {} folders, expected one folder of PNGs per class, at least two", path.string(),
                                classes.size()));

  const PngHeader first = png_header(files.front().bytes, files.front().path.string());
  bool color = false;
  for (const File& file : files) {
    const PngHeader header = png_header(file.bytes, file.path.string());
    if (header.rows != first.rows || header.columns != first.columns)
      throw DataError(fmt::format("{}: {} x {} pixels (rows x columns), expected {} x {} as in {}", file.path.string(),
                                  header.rows, header.columns, first.rows, first.columns, files.front().path.string()));
    color = color || header.color;
  }

  const auto count = static_cast<std::int64_t>(files.size()), outputs = static_cast<std::int64_t>(classes.size());
  const std::vector<std::int64_t> shape = {color ? 3 : 1, first.rows, first.columns};
  const at::Tensor inputs = at::empty({count, shape[0], shape[1], shape[2]}, at::kByte);
  const at::Tensor targets = at::empty({count}, at::kLong);
  std::string hashes;
  for (std::int64_t i = 0; i < count; ++i) {
    const File& file = files[static_cast<std::size_t>(i)];
    inputs[i].copy_(decode_png(file.bytes, color, file.path.string()));
    targets[i] = file.label;
    hashes += classes[static_cast<std::size_t>(file.label)] + " " + sha256(file.bytes) + "\n";
  }
  Collection collection;
  collection.train = memory(inputs, targets, {ProblemKind::classification, shape, outputs, classes}, 1.0F / 255);
  collection.bytes = true;
  collection.name = path.string();
  collection.fingerprint = sha256(hashes);
  if (others > 0) collection.notes = {fmt::format("ignored {} files that are not PNGs", others)};
  return collection;
}

}  // namespace grapes::data
