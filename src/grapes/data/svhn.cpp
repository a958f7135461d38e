#include "grapes/data/svhn.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/data/mat.h"

#include <fmt/format.h>

#include <cstdint>

namespace grapes::data {

Collection read_svhn(const SourceFiles& files) {
  constexpr std::int64_t side = 32, channels = 3, digits = 10;
  const DatasetInfo info = {ProblemKind::classification, {channels, side, side}, digits, files.classes};
  std::string hashes;
  const auto part = [&](const std::string& name) {
    const std::filesystem::path path = files.folder / name;
    const std::map<std::string, StoredArray> arrays = mat_arrays(path);
    const at::Tensor images = numbers(arrays, "X", path.string()),
                     labels = numbers(arrays, "y", path.string()).flatten().to(at::kLong);
    hashes += sha256_file(path);
    if (images.dim() != 4 || images.scalar_type() != at::kByte || images.size(0) != side || images.size(1) != side ||
        images.size(2) != channels)
      throw DataError(
          fmt::format("{}: X has {} dimensions, expected 32 x 32 x 3 x n bytes", path.string(), images.dim()));
    if (labels.size(0) != images.size(3))
      throw DataError(
          fmt::format("{}: {} labels, expected {}, one per image", path.string(), labels.size(0), images.size(3)));
    if (labels.numel() > 0 && (labels.min().item<std::int64_t>() < 0 || labels.max().item<std::int64_t>() > digits))
      throw DataError(fmt::format("{}: y is out of range, expected 1 ... 10", path.string()));
    return memory(images.permute({3, 2, 0, 1}).contiguous(), labels.remainder(digits), info, 1.0F / 255);
  };
  Collection all;
  all.train = part(files.names.at(0));
  all.test = part(files.names.at(1));
  all.bytes = true;
  all.fingerprint = sha256(hashes);
  return all;
}

}  // namespace grapes::data
