#include "grapes/data/folder.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/data/png.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace grapes::data {
namespace fs = std::filesystem;
namespace {

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

Collection read_folder(const fs::path& path) {
  Collection collection;
  collection.name = path.string();
  std::vector<std::string>& classes = collection.info.classes;
  std::vector<File> files;
  std::int64_t others = 0;
  for (const fs::path& folder : sorted_entries(path)) {
    if (!fs::is_directory(folder)) {
      ++others;
      continue;
    }
    const std::size_t before = files.size();
    for (const fs::path& file : sorted_entries(folder)) {
      if (is_png(file)) {
        files.push_back({file, static_cast<std::int64_t>(classes.size()), read_file(file)});
      } else {
        ++others;
      }
    }
    if (files.size() == before) throw DataError(folder.string() + ": no PNG files in this folder of a class");
    classes.push_back(folder.filename().string());
  }
  if (classes.size() < 2) {
    throw DataError(path.string() + ": " + std::to_string(classes.size()) +
                    " folders, expected one folder of PNGs per class, at least two");
  }
  if (others > 0) collection.notes.push_back(std::to_string(others) + " files that are not PNGs were left aside");

  const PngHeader first = png_header(files.front().bytes, files.front().path.string());
  bool color = false;
  for (const File& file : files) {
    const PngHeader header = png_header(file.bytes, file.path.string());
    if (header.rows != first.rows || header.columns != first.columns) {
      throw DataError(file.path.string() + ": " + std::to_string(header.rows) + " x " + std::to_string(header.columns) +
                      " pixels (rows x columns), expected " + std::to_string(first.rows) + " x " +
                      std::to_string(first.columns) + " as in " + files.front().path.string());
    }
    color = color || header.color;
  }

  const auto count = static_cast<std::int64_t>(files.size());
  collection.info.problem = ProblemKind::classification;
  collection.info.input_shape = {color ? 3 : 1, first.rows, first.columns};
  collection.info.outputs = static_cast<std::int64_t>(classes.size());
  collection.scale = 1.0F / 255;
  collection.train.inputs = at::empty({count, color ? 3 : 1, first.rows, first.columns}, at::kByte);
  collection.train.targets = at::empty({count}, at::kLong);
  std::string hashes;
  for (std::int64_t i = 0; i < count; ++i) {
    const File& file = files[static_cast<std::size_t>(i)];
    collection.train.inputs[i].copy_(decode_png(file.bytes, color, file.path.string()));
    collection.train.targets[i] = file.label;
    hashes += classes[static_cast<std::size_t>(file.label)] + " " + sha256(file.bytes) + "\n";
  }
  collection.fingerprint = sha256(hashes);
  return collection;
}

}  // namespace grapes::data
