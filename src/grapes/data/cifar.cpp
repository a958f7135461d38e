#include "grapes/data/cifar.h"

#include "grapes/base/error.h"

#include <ATen/ATen.h>

#include <cstring>

namespace grapes::data {
namespace {

constexpr std::int64_t channels = 3, side = 32;
constexpr std::size_t pixels = channels * side * side;

}  // namespace

Examples cifar_records(std::string_view bytes, const std::string& file, at::IntArrayRef labels) {
  const std::size_t size = labels.size() + pixels, count = bytes.size() / size;
  if (bytes.empty()) throw DataError(file + ": empty, expected records of " + std::to_string(size) + " bytes");
  if (bytes.size() % size != 0) {
    throw DataError(file + ": " + std::to_string(bytes.size()) + " bytes, expected whole records of " +
                    std::to_string(size) + " bytes: record " + std::to_string(count) + " (from 0) ends after " +
                    std::to_string(bytes.size() % size));
  }
  const auto n = static_cast<std::int64_t>(count);
  Examples examples{at::empty({n, channels, side, side}, at::kByte), at::empty({n}, at::kLong)};
  auto* image = examples.inputs.data_ptr<std::uint8_t>();
  auto* target = examples.targets.data_ptr<std::int64_t>();
  for (std::size_t i = 0; i < count; ++i, image += pixels) {
    const std::string_view record = bytes.substr(i * size, size);
    for (std::size_t which = 0; which < labels.size(); ++which) {
      target[i] = static_cast<std::uint8_t>(record[which]);
      if (target[i] >= labels[which]) {
        throw DataError(file + ": label " + std::to_string(target[i]) + " of record " + std::to_string(i) +
                        " (from 0) is out of range, expected 0 ... " + std::to_string(labels[which] - 1));
      }
    }
    std::memcpy(image, record.data() + labels.size(), pixels);
  }
  return examples;
}

Collection read_cifar(const SourceFiles& files, const std::vector<std::string>& classes, std::size_t training,
                      at::IntArrayRef labels) {
  const auto read = [&](std::size_t number) {
    const UnpackedFile file = files(number);
    return cifar_records(file.bytes, file.path, labels);
  };
  std::vector<at::Tensor> inputs, targets;
  for (std::size_t number = 0; number < training; ++number) {
    Examples part = read(number);
    inputs.push_back(std::move(part.inputs));
    targets.push_back(std::move(part.targets));
  }
  Collection collection;
  collection.train = {at::cat(inputs), at::cat(targets)};
  collection.test = read(training);
  collection.info = {ProblemKind::classification, {channels, side, side}, labels.back(), classes};
  collection.scale = 1.0F / 255;
  return collection;
}

}  // namespace grapes::data
