#include "grapes/data/npy.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/text.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <fmt/format.h>

#include <cstring>
#include <utility>
#include <vector>

namespace grapes::data {
namespace fs = std::filesystem;
namespace {

struct ElementType {
  const char* name;
  at::ScalarType type;
};
constexpr ElementType element_types[] = {
    {"<f4", at::kFloat}, {"<f8", at::kDouble}, {"|u1", at::kByte}, {"<i4", at::kInt}, {"<i8", at::kLong}};

/// Reads the header, a dictionary in Python's syntax: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class NpyHeader {
 public:
  NpyHeader(std::string_view text, const std::string& file) : rest_(text), file_(file) {
    expect('{');
    while (!take('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr") {
        type = string();
      } else if (key == "fortran_order") {
        if (word() != "False") fail("is in Fortran order, expected C order (use numpy.ascontiguousarray)");
      } else if (key == "shape") {
        sizes();
      } else {
        fail("has an unknown key '" + key + "' in its header");
      }
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    if (type.empty() || !has_shape_) fail("has no descr or no shape in its header");
  }

  std::string type;
  std::vector<std::int64_t> shape;

 private:
  [[noreturn]] void fail(const std::string& why) const { throw DataError(file_ + ": the NPY array " + why); }
  void skip() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n')) rest_.remove_prefix(1);
  }
  bool take(char c) {
    skip();
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(std::string("has a header that lacks a '") + c + "', or is not of a plain type");
  }
  std::string string() {
    expect('\'');
    const std::size_t end = std::min(rest_.find('\''), rest_.size());
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end);
    expect('\'');
    return text;
  }
  std::string word() {
    skip();
    const std::size_t end = std::min(rest_.find_first_of(",}) \n"), rest_.size());
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return text;
  }
  void sizes() {
    has_shape_ = true;
    shape.clear();
    expect('(');
    while (!take(')')) {
      const std::string text = word();
      const std::optional<long long> size = to_integer(text);
      if (!size || *size < 0) fail("has '" + text + "' as a size in its shape, expected a whole number");
      shape.push_back(*size);
      if (!take(',')) {
        expect(')');
        break;
      }
    }
  }

  std::string_view rest_;
  const std::string& file_;
  bool has_shape_ = false;
};

std::string print(at::IntArrayRef shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

/// Removes the header from `bytes` and returns its text.
std::string_view take_header(std::string_view& bytes, const std::string& file) {
  if (bytes.substr(0, 6) != "\x93NUMPY")
    throw DataError(file + ": not an NPY file (it does not begin with \\x93NUMPY)");
  if (bytes.size() < 12) throw DataError(file + ": truncated within the NPY header");
  const int version = static_cast<unsigned char>(bytes[6]);
  if (version < 1 || version > 3) {
    throw DataError(fmt::format("{}: NPY version {}, expected 1, 2 or 3", file, version));
  }
  const std::size_t width = version == 1 ? 2 : 4;  // of the header's length, little-endian
  std::size_t length = 0;
  for (std::size_t i = 0; i < width; ++i) length |= std::size_t{static_cast<unsigned char>(bytes[8 + i])} << (8 * i);
  bytes.remove_prefix(8 + width);
  if (bytes.size() < length) throw DataError(file + ": truncated within the NPY header");
  const std::string_view header = bytes.substr(0, length);
  bytes.remove_prefix(length);
  return header;
}

fs::path target_file(const fs::path& path) {
  std::string name = path.filename().string();
  if (name[0] != 'x' && name[0] != 'X') {
    throw DataError(path.string() + ": expected a name that begins with x, with the targets next to it in y...");
  }
  name[0] = static_cast<char>(name[0] + 1);  // x -> y, X -> Y
  return path.parent_path() / name;
}

/// Returns inputs in the form that is stored: bytes or float32, all finite, images with a channel axis.
at::Tensor as_inputs(at::Tensor array, const std::string& file) {
  if (array.dim() == 0 || array.numel() == 0) {
    throw DataError(file + ": an array of shape " + print(array.sizes()) + ", expected at least one example");
  }
  if (array.scalar_type() != at::kByte) {
    array = array.to(at::kFloat);
    const at::Tensor wrong = array.isfinite().logical_not().flatten().nonzero();
    if (wrong.numel() > 0) {
      throw DataError(fmt::format("{}: element {} (of {}, from 0) is not a finite number in float32", file,
                                  wrong[0].item<std::int64_t>(), array.numel()));
    }
  }
  return array.dim() == 1 || array.dim() == 3 ? array.unsqueeze(1) : array;
}

}  // namespace

at::Tensor npy_array(std::string_view bytes, const std::string& file) {
  const NpyHeader header(take_header(bytes, file), file);
  for (const ElementType& element : element_types) {
    if (header.type != element.name) continue;
    std::uint64_t size = c10::elementSize(element.type);
    for (const std::int64_t extent : header.shape) {
      // The file must contain as many bytes as the shape says. Checked at each step, so that the product cannot
      // overflow.
      if (extent != 0 && size > bytes.size() / static_cast<std::uint64_t>(extent))
        size = bytes.size() + 1;
      else
        size *= static_cast<std::uint64_t>(extent);
      if (size > bytes.size()) break;
    }
    if (size != bytes.size()) {
      throw DataError(fmt::format("{}: {} bytes follow the header, {} for the shape {} of type {}", file, bytes.size(),
                                  size > bytes.size() ? "too few" : "too many", print(header.shape), header.type));
    }
    at::Tensor array = at::empty(header.shape, element.type);
    std::memcpy(array.data_ptr(), bytes.data(), bytes.size());
    return array;
  }
  throw DataError(file + ": an NPY array of type '" + header.type + "', expected '<f4', '<f8', '|u1', '<i4' or '<i8'");
}

Collection read_npy(const fs::path& path, TargetReading asked) {
  const fs::path target_path = target_file(path);
  const std::string input_bytes = read_file(path), target_bytes = read_file(target_path);
  const at::Tensor inputs = as_inputs(npy_array(input_bytes, path.string()), path.string());
  at::Tensor values = npy_array(target_bytes, target_path.string());
  if (values.dim() == 1) values = values.unsqueeze(1);
  if (values.dim() != 2 || values.size(1) == 0 || values.size(0) != inputs.size(0))
    throw DataError(fmt::format("{}: targets of shape {}, expected [{}] or [{}, outputs], one per example of {}",
                                target_path.string(), print(values.sizes()), inputs.size(0), inputs.size(0),
                                path.string()));
  if (!at::isfinite(values).all().item<bool>())
    throw DataError(target_path.string() + ": a target is not a finite number");
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < values.size(1); ++i)
    names.push_back(values.size(1) == 1 ? "y" : fmt::format("y{}", i + 1));
  const Targets targets = number_targets(values.to(at::kDouble), names, asked, path.string());

  Collection collection;
  collection.bytes = inputs.scalar_type() == at::kByte;
  collection.name = path.string();
  collection.fingerprint = sha256(sha256(input_bytes) + sha256(target_bytes));
  if (!targets.note.empty()) collection.notes = {targets.note};
  collection.train = memory(
      inputs, targets.values,
      {targets.problem, inputs.sizes().slice(1).vec(), static_cast<std::int64_t>(targets.names.size()), targets.names},
      collection.bytes ? 1.0F / 255 : 1);
  return collection;
}

at::Tensor npy_inputs(const fs::path& path, const DatasetInfo& info) {
  at::Tensor array = npy_array(read_file(path), path.string());
  at::Tensor inputs = as_inputs(array, path.string());
  if (inputs.sizes().slice(1) != at::IntArrayRef(info.input_shape)) {
    throw DataError(path.string() + ": examples of shape " + print(inputs.sizes().slice(1)) + ", expected " +
                    print(info.input_shape));
  }
  const bool bytes = inputs.scalar_type() == at::kByte;
  inputs = inputs.to(at::kFloat);
  return bytes ? inputs / 255 : inputs;
}

}  // namespace grapes::data
