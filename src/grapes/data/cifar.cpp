#include "grapes/data/cifar.h"

#include "grapes/base/error.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <cstring>

namespace grapes::data {
namespace {

constexpr std::int64_t channels = 3, side = 32;
constexpr std::size_t pixels = channels * side * side;

}  // namespace

std::pair<at::Tensor, at::Tensor> cifar_records(std::string_view bytes, const std::string& file,
                                                at::IntArrayRef labels) {
  const std::size_t size = labels.size() + pixels, count = bytes.size() / size;
  if (bytes.empty()) throw DataError(fmt::format("{}: empty, expected records of {} bytes", file, size));
  if (bytes.size() % size != 0)
    throw DataError(fmt::format("{}: {} bytes, expected whole records of {} bytes: record {} (from 0) ends after {}",
                                file, bytes.size(), size, count, bytes.size() % size));
  const auto n = static_cast<std::int64_t>(count);
  const at::Tensor inputs = at::empty({n, channels, side, side}, at::kByte), targets = at::empty({n}, at::kLong);
  auto* image = inputs.data_ptr<std::uint8_t>();
  auto* target = targets.data_ptr<std::int64_t>();
  for (std::size_t i = 0; i < count; ++i, image += pixels) {
    const std::string_view record = bytes.substr(i * size, size);
    for (std::size_t which = 0; which < labels.size(); ++which) {
      target[i] = static_cast<std::uint8_t>(record[which]);
      if (target[i] >= labels[which])
        throw DataError(fmt::format("{}: label {} of record {} (from 0) is out of range, expected 0 ... {}", file,
                                    target[i], i, labels[which] - 1));
    }
    std::memcpy(image, record.data() + labels.size(), pixels);
  }
  return {inputs, targets};
}

Collection read_cifar(const SourceFiles& files, std::size_t training, at::IntArrayRef labels) {
  const DatasetInfo info = {ProblemKind::classification, {channels, side, side}, labels.back(), files.classes};
  const auto part = [&](std::size_t begin, std::size_t end) {
    std::vector<at::Tensor> inputs, targets;
    for (std::size_t number = begin; number < end; ++number) {
      const UnpackedFile file = files.read(number);
      auto [images, classes] = cifar_records(file.bytes, file.path, labels);
      inputs.push_back(std::move(images));
      targets.push_back(std::move(classes));
    }
    return memory(at::cat(inputs), at::cat(targets), info, 1.0F / 255);
  };
  return {.train = part(0, training), .test = part(training, training + 1), .bytes = true};
}

}  // namespace grapes::data
