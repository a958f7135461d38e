#include "grapes/data/idx.h"

#include "grapes/base/error.h"
#include "grapes/data/elements.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <functional>
#include <map>
#include <vector>

namespace grapes::data {
namespace {

constexpr std::uint32_t images_magic = 2051, labels_magic = 2049, qmnist_magic = 3074;
constexpr ElementType bytes_of_idx = {false, 'u', 1};

std::string kind(std::uint32_t magic) {
  const std::string number = "magic number " + std::to_string(magic);
  if (magic == images_magic) return number + " (IDX images)";
  if (magic == labels_magic) return number + " (IDX labels)";
  if (magic == qmnist_magic) return number + " (QMNIST's labels)";
  return number;
}

/// Reads the numbers of the header one after the other, then the records.
class IdxHeader {
 public:
  /// Of a file with any magic number.
  IdxHeader(std::string_view bytes, const std::string& file)
      : rest_(bytes), file_(file), magic_(number("magic number")) {}
  IdxHeader(std::string_view bytes, const std::string& file, std::uint32_t magic) : IdxHeader(bytes, file) {
    if (magic_ != magic) throw DataError(file + ": " + kind(magic_) + ", expected " + kind(magic));
  }

  std::uint32_t number(const char* what) {
    if (rest_.size() < 4) throw DataError(file_ + ": ends within the IDX header, before its " + what);
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(rest_[i]);
    rest_.remove_prefix(4);
    return value;
  }

  /// Returns the rest, which must be count × size bytes.
  std::string_view records(std::uint64_t count, std::uint64_t size) const {
    if (count == 0) throw DataError(file_ + ": the header says 0 records");
    // By division, because the product of three header fields may not fit into 64 bits.
    if (size == 0 || rest_.size() / size != count || rest_.size() % size != 0) {
      const bool more = size != 0 && rest_.size() / size >= count;
      throw DataError(fmt::format("{}: the header says {} records of {} byte{}, but {} bytes follow it: {}", file_,
                                  count, size, size == 1 ? "" : "s", rest_.size(), more ? "too many" : "truncated"));
    }
    return rest_;
  }

 private:
  std::string_view rest_;
  const std::string& file_;
  const std::uint32_t magic_;
};

/// @param shape  [channels, rows, columns]
std::string size_text(at::IntArrayRef shape) { return fmt::format("{} x {}", shape[1], shape[2]); }

/// A header with the magic number and the shape, then the bytes.
std::string idx_bytes(std::uint32_t magic, const at::Tensor& values) {
  std::string bytes;
  const auto put = [&](std::uint32_t number) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift & 255);
  };
  put(magic);
  for (const std::int64_t size : values.sizes()) put(static_cast<std::uint32_t>(size));
  bytes.append(reinterpret_cast<const char*>(values.data_ptr<std::uint8_t>()),
               static_cast<std::size_t>(values.numel()));
  return bytes;
}

void check_label(std::int64_t label, std::size_t record, const std::string& file, std::int64_t classes,
                 std::int64_t first) {
  if (label < first || label >= first + classes)
    throw DataError(fmt::format("{}: label {} of record {} (from 0) is out of range, expected {} ... {}", file, label,
                                record, first, first + classes - 1));
}

/// Labels as QMNIST stores them.
at::Tensor qmnist_labels(std::string_view bytes, const std::string& file, std::int64_t classes) {
  constexpr std::uint32_t fields = 8;
  IdxHeader header(bytes, file, qmnist_magic);
  const std::uint32_t count = header.number("count"), found = header.number("fields");
  if (found != fields) throw DataError(fmt::format("{}: {} numbers per label, expected {}", file, found, fields));
  header.records(count, 4 * fields);
  at::Tensor labels = at::empty({count}, at::kLong);
  for (std::size_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::int32_t>(header.number("labels"));
    for (std::uint32_t rest = 1; rest < fields; ++rest) header.number("labels");
    check_label(label, i, file, classes, 0);
    labels.data_ptr<std::int64_t>()[i] = label;
  }
  return labels;
}

using ReadLabels = std::function<at::Tensor(std::string_view bytes, const std::string& file, std::int64_t classes)>;

Collection read_parts(const SourceFiles& files, bool transposed, const ReadLabels& read_labels) {
  const auto outputs = static_cast<std::int64_t>(files.classes.size());
  const auto read_part = [&](std::size_t first, at::IntArrayRef expected) {
    const UnpackedFile images = files.read(first), labels = files.read(first + 1);
    at::Tensor inputs = idx_images(images.bytes, images.path, images.owner);
    if (transposed) inputs = inputs.transpose(2, 3);
    const at::Tensor targets = read_labels(labels.bytes, labels.path, outputs);
    if (inputs.size(0) != targets.size(0))
      throw DataError(fmt::format("{}: {} labels, expected {}, one per image of {}", labels.path, targets.size(0),
                                  inputs.size(0), images.path));
    if (const at::IntArrayRef shape = inputs.sizes().slice(1); !expected.empty() && shape != expected)
      throw DataError(fmt::format("{}: test images of {} pixels, expected the size of the training images, {}",
                                  images.path, size_text(shape), size_text(expected)));
    const DatasetInfo info = {ProblemKind::classification, inputs.sizes().slice(1).vec(), outputs, files.classes};
    return memory(inputs, targets, info, 1.0F / 255);
  };
  Collection collection;
  collection.train = read_part(0, {});
  collection.test = read_part(2, collection.train->info().input_shape);
  collection.bytes = true;
  return collection;
}

}  // namespace

at::Tensor idx_images(std::string_view bytes, const std::string& file, const std::shared_ptr<const void>& owner) {
  IdxHeader header(bytes, file, images_magic);
  const std::uint64_t count = header.number("count");
  const std::uint64_t rows = header.number("rows");
  const std::uint64_t columns = header.number("columns");
  const std::string_view pixels = header.records(count, rows * columns);
  return elements(
      pixels, bytes_of_idx,
      {static_cast<std::int64_t>(count), 1, static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns)},
      owner);
}

StoredArray idx_array(std::string_view bytes, const std::string& file, const std::shared_ptr<const void>& owner) {
  static const std::map<char, ElementType> types = {{8, bytes_of_idx},    {9, {true, 'i', 1}},  {11, {true, 'i', 2}},
                                                    {12, {true, 'i', 4}}, {13, {true, 'f', 4}}, {14, {true, 'f', 8}}};
  const auto type = bytes.size() < 4 || bytes[0] != 0 || bytes[1] != 0 ? types.end() : types.find(bytes[2]);
  if (type == types.end() || bytes[3] < 1)
    throw DataError(file + ": not an IDX file (it does not begin with two zeros, a type and a number of dimensions)");
  const int dimensions = bytes[3];
  IdxHeader header(bytes, file);
  std::vector<std::int64_t> shape;
  std::uint64_t size = type->second.size;
  for (int i = 0; i < dimensions; ++i) {
    shape.push_back(header.number("sizes"));
    if (i > 0 && __builtin_mul_overflow(size, static_cast<std::uint64_t>(shape.back()), &size))
      throw DataError(file + ": the sizes in the IDX header are larger than any file");
  }
  return {elements(header.records(static_cast<std::uint64_t>(shape[0]), size), type->second, shape, owner)};
}

at::Tensor idx_labels(std::string_view bytes, const std::string& file, std::int64_t classes, std::int64_t first) {
  IdxHeader header(bytes, file, labels_magic);
  const std::uint64_t count = header.number("count");
  const std::string_view labels = header.records(count, 1);
  for (std::size_t i = 0; i < labels.size(); ++i)
    check_label(static_cast<unsigned char>(labels[i]), i, file, classes, first);
  return elements(labels, bytes_of_idx, {static_cast<std::int64_t>(count)}, nullptr).to(at::kLong) - first;
}

std::string write_idx_images(const at::Tensor& images) { return idx_bytes(images_magic, images.contiguous()); }

std::string write_idx_labels(const at::Tensor& labels) {
  return idx_bytes(labels_magic, labels.to(at::kByte).contiguous());
}

Collection read_idx(const SourceFiles& files, bool transposed, std::int64_t first_label) {
  return read_parts(files, transposed, [=](std::string_view bytes, const std::string& file, std::int64_t classes) {
    return idx_labels(bytes, file, classes, first_label);
  });
}

Collection read_qmnist(const SourceFiles& files) { return read_parts(files, /*transposed=*/false, qmnist_labels); }

}  // namespace grapes::data
