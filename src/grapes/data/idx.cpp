#include "grapes/data/idx.h"

#include "grapes/base/error.h"

#include <ATen/ATen.h>

#include <cstring>

namespace grapes::data {
namespace {

constexpr std::uint32_t images_magic = 2051, labels_magic = 2049;

std::string kind(std::uint32_t magic) {
  const std::string number = "magic number " + std::to_string(magic);
  if (magic == images_magic) return number + " (IDX images)";
  if (magic == labels_magic) return number + " (IDX labels)";
  return number;
}

/// The header's numbers one after the other, then the records.
class IdxHeader {
 public:
  IdxHeader(std::string_view bytes, const std::string& file, std::uint32_t magic) : rest_(bytes), file_(file) {
    const std::uint32_t found = number("magic number");
    if (found != magic) throw DataError(file + ": " + kind(found) + ", expected " + kind(magic));
  }

  std::uint32_t number(const char* what) {
    if (rest_.size() < 4) throw DataError(file_ + ": ends within the IDX header, before its " + what);
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(rest_[i]);
    rest_.remove_prefix(4);
    return value;
  }

  /// What is left must be count × size bytes.
  std::string_view records(std::uint64_t count, std::uint64_t size) const {
    if (count == 0) throw DataError(file_ + ": the header promises 0 records");
    // Divided, not multiplied: the product of three header fields may not fit into 64 bits.
    if (size == 0 || rest_.size() / size != count || rest_.size() % size != 0) {
      const bool more = size != 0 && rest_.size() / size >= count;
      throw DataError(file_ + ": the header promises " + std::to_string(count) + " records of " + std::to_string(size) +
                      (size == 1 ? " byte" : " bytes") + ", but " + std::to_string(rest_.size()) +
                      " bytes follow it: " + (more ? "too many" : "cut off"));
    }
    return rest_;
  }

 private:
  std::string_view rest_;
  const std::string& file_;
};

/// @param shape  [channels, rows, columns]
std::string size_text(at::IntArrayRef shape) { return std::to_string(shape[1]) + " x " + std::to_string(shape[2]); }

at::Tensor byte_tensor(std::string_view bytes, at::IntArrayRef shape) {
  at::Tensor tensor = at::empty(shape, at::kByte);
  std::memcpy(tensor.data_ptr<std::uint8_t>(), bytes.data(), bytes.size());
  return tensor;
}

}  // namespace

at::Tensor idx_images(std::string_view bytes, const std::string& file) {
  IdxHeader header(bytes, file, images_magic);
  const std::uint64_t count = header.number("count");
  const std::uint64_t rows = header.number("rows");
  const std::uint64_t columns = header.number("columns");
  const std::string_view pixels = header.records(count, rows * columns);
  return byte_tensor(pixels, {static_cast<std::int64_t>(count), 1, static_cast<std::int64_t>(rows),
                              static_cast<std::int64_t>(columns)});
}

at::Tensor idx_labels(std::string_view bytes, const std::string& file, std::int64_t classes) {
  IdxHeader header(bytes, file, labels_magic);
  const std::uint64_t count = header.number("count");
  const std::string_view labels = header.records(count, 1);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const int label = static_cast<unsigned char>(labels[i]);
    if (label >= classes) {
      throw DataError(file + ": label " + std::to_string(label) + " of record " + std::to_string(i) +
                      " (from 0) is out of range, expected 0 ... " + std::to_string(classes - 1));
    }
  }
  return byte_tensor(labels, {static_cast<std::int64_t>(count)}).to(at::kLong);
}

Collection read_idx(const SourceFiles& files, const std::vector<std::string>& classes, bool transposed) {
  const auto outputs = static_cast<std::int64_t>(classes.size());
  const auto read_part = [&](std::size_t first, at::IntArrayRef expected) {
    const UnpackedFile images = files(first), labels = files(first + 1);
    Examples examples{idx_images(images.bytes, images.path), idx_labels(labels.bytes, labels.path, outputs)};
    if (examples.inputs.size(0) != examples.targets.size(0)) {
      throw DataError(labels.path + ": " + std::to_string(examples.targets.size(0)) + " labels, expected " +
                      std::to_string(examples.inputs.size(0)) + ", one per image of " + images.path);
    }
    if (const at::IntArrayRef shape = examples.inputs.sizes().slice(1); !expected.empty() && shape != expected) {
      throw DataError(images.path + ": test images of " + size_text(shape) +
                      " pixels, expected the size of the training images, " + size_text(expected));
    }
    if (transposed) examples.inputs = examples.inputs.transpose(2, 3).contiguous();
    return examples;
  };
  Collection collection;
  collection.train = read_part(0, {});
  const at::IntArrayRef shape = collection.train.inputs.sizes().slice(1);
  collection.test = read_part(2, shape);
  collection.info = {ProblemKind::classification, shape.vec(), outputs, classes};
  collection.scale = 1.0F / 255;
  return collection;
}

}  // namespace grapes::data
