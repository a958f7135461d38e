#include "grapes/data/take.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/table.h"
#include "grapes/base/text.h"
#include "grapes/data/archive.h"
#include "grapes/data/idx.h"
#include "grapes/data/mat.h"
#include "grapes/data/source.h"
#include "grapes/data/unpack.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <system_error>

namespace grapes::data {
namespace fs = std::filesystem;
namespace {

/// @throws DataError for a file that is a Python pickle: reading one can run any program
void refuse_pickle(const StoredFile& file, const Source& source) {
  const std::string name = file.path.filename().string();
  // CIFAR's archives for Python have the same names as the others, without .bin.
  const bool maybe = name.ends_with(".pkl") || name.ends_with(".pickle") ||
                     std::any_of(source.files.begin(), source.files.end(),
                                 [&](const SourceFile& wanted) { return name + ".bin" == wanted.name; });
  if (maybe && file.read().starts_with('\x80'))
    throw DataError(
        fmt::format("{}: {} is a Python pickle, which Grapes does not read, because reading it can run any "
                    "program; {}",
                    file.origin, file.path.string(), source.advice));
}

class Taker {
 public:
  Taker(const Source& source, fs::path from) : source_(source), from_(std::move(from)) {
    taken_.folder = cache_folder(source);
  }

  Taken take() {
    visit_files(from_, [this](const StoredFile& file) {
      refuse_pickle(file, source_);
      if (!source_.matlab.empty() && file.path.filename() == source_.matlab) take_matlab(file);
      for (const SourceFile& wanted : source_.files)
        wanted.folder ? take_into_folder(file, wanted) : take_file(file, wanted);
    });
    std::vector<std::string> missing;
    for (const SourceFile& wanted : source_.files)
      if (!file_in(taken_.folder, wanted)) missing.push_back(wanted.name);
    if (!missing.empty())
      throw DataError(fmt::format("{}: {} of {} {} not found in it; {}", from_.string(), join(missing, ", "),
                                  source_.name, missing.size() == 1 ? "was" : "were", source_.advice));
    return std::move(taken_);
  }

 private:
  void take_file(const StoredFile& file, const SourceFile& wanted) {
    const std::string name = file.path.filename().string();
    if (name != wanted.name && name != wanted.name + ".gz" && name != wanted.name + ".xz") return;
    const std::string bytes = file.read();
    check(bytes, wanted, file);
    for (const char* packing : {"", ".gz", ".xz"}) fs::remove(taken_.folder / (wanted.name + packing));
    if (wanted.name.ends_with(".h5"))  // HDF5 reads files in place
      write_file(taken_.folder / wanted.name, unpacked(bytes, name));
    else
      write_file(taken_.folder / name, bytes);
  }

  void take_into_folder(const StoredFile& file, const SourceFile& wanted) {
    const auto begin = std::find(file.path.begin(), file.path.end(), wanted.name);
    if (begin == file.path.end()) return;
    fs::path path = taken_.folder;
    for (auto part = begin; part != file.path.end(); ++part) path /= *part;
    fs::create_directories(path.parent_path());
    fs::remove(path);
    append_file(path, file.read());  // write_file() waits for the disk, which takes long for many small files
  }

  /// Writes the images and labels of a MATLAB file as IDX files. Both store the pixels of an image in the same order.
  void take_matlab(const StoredFile& file) {
    const fs::path path = taken_.folder / source_.matlab;
    write_file(path, file.read());
    const std::map<std::string, StoredArray> arrays = mat_arrays(path);
    for (std::size_t i = 0; i < 2; ++i) {
      const std::string set = i == 0 ? "dataset_train_" : "dataset_test_";
      const at::Tensor images = numbers(arrays, set + "images", path.string()),
                       labels = numbers(arrays, set + "labels", path.string());
      const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(images.size(-1)))));
      if (images.dim() != 2 || images.scalar_type() != at::kByte || side * side != images.size(1) ||
          labels.numel() != images.size(0))
        throw DataError(fmt::format("{}: {}: {}images must be n x side² bytes, with n labels", file.origin,
                                    file.path.string(), set));
      write_file(taken_.folder / source_.files[2 * i].name, write_idx_images(images.reshape({-1, side, side})));
      write_file(taken_.folder / source_.files[2 * i + 1].name, write_idx_labels(labels.flatten()));
    }
    fs::remove(path);
  }

  /// Compares a file with the sums that are known, and unpacks it to see that it is whole.
  void check(const std::string& bytes, const SourceFile& wanted, const StoredFile& file) {
    const std::string what = file.origin + ": " + file.path.string();
    if (!wanted.packed_md5.empty() && file.path.extension() == ".gz" && md5(bytes) != wanted.packed_md5)
      taken_.notes.push_back(what + " differs from the published file of " + source_.name);
    const std::string hash = sha256(unpacked(bytes, what));
    if (hash == wanted.unpacked_sha256) return;
    for (const Source& other : sources())
      for (const SourceFile& theirs : other.files)
        if (theirs.unpacked_sha256 == hash)
          throw DataError(
              fmt::format("{}: this file belongs to {}, expected that of {}", what, other.name, source_.name));
    if (!wanted.unpacked_sha256.empty())
      taken_.notes.push_back(what + " differs from the known file of " + source_.name);
  }

  const Source& source_;
  const fs::path from_;
  Taken taken_;
};

}  // namespace

Taken take(const std::string& name, const fs::path& from) {
  const Source& source = find_row(sources(), "data set", name);
  if (source.files.empty()) throw UsageError(name + " is embedded in the program: there is nothing to take");
  return Taker(source, from).take();
}

}  // namespace grapes::data
