#include "grapes/data/mat.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/text.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <matio.h>

#include <cstdint>
#include <cstring>
#include <memory>

namespace grapes::data {
namespace {

using MatFile = std::unique_ptr<mat_t, decltype(&Mat_Close)>;
using MatVariable = std::unique_ptr<matvar_t, decltype(&Mat_VarFree)>;

MatFile open_mat(const std::filesystem::path& path) {
  MatFile file(Mat_Open(path.c_str(), MAT_ACC_RDONLY), Mat_Close);
  if (!file) throw DataError(path.string() + ": not a MATLAB file of version 5 or 7.3");
  return file;
}

/// Copies numbers of another type. MATLAB's first dimension is the fastest.
template <class Stored, class Value>
void copy_values(const matvar_t& variable, at::Tensor& into) {
  const auto* from = static_cast<const Stored*>(variable.data);
  auto* values = into.data_ptr<Value>();
  for (std::int64_t i = 0; i < into.numel(); ++i) values[i] = static_cast<Value>(from[i]);
}

at::Tensor numbers_of(const matvar_t& variable, const std::string& what) {
  std::vector<std::int64_t> shape;  // reversed, in the order of the memory
  for (int d = variable.rank - 1; d >= 0; --d) shape.push_back(static_cast<std::int64_t>(variable.dims[d]));
  const bool bytes = variable.class_type == MAT_C_UINT8;
  at::Tensor values = at::empty(shape, bytes ? at::kByte : at::kDouble);
  if (variable.isComplex || (!variable.data && values.numel() > 0)) throw DataError(what + ": expected real numbers");
  switch (variable.class_type) {
    case MAT_C_UINT8:
      copy_values<std::uint8_t, std::uint8_t>(variable, values);
      break;
    case MAT_C_INT8:
      copy_values<std::int8_t, double>(variable, values);
      break;
    case MAT_C_INT16:
      copy_values<std::int16_t, double>(variable, values);
      break;
    case MAT_C_UINT16:
      copy_values<std::uint16_t, double>(variable, values);
      break;
    case MAT_C_INT32:
      copy_values<std::int32_t, double>(variable, values);
      break;
    case MAT_C_UINT32:
      copy_values<std::uint32_t, double>(variable, values);
      break;
    case MAT_C_INT64:
      copy_values<std::int64_t, double>(variable, values);
      break;
    case MAT_C_UINT64:
      copy_values<std::uint64_t, double>(variable, values);
      break;
    case MAT_C_SINGLE:
      copy_values<float, double>(variable, values);
      break;
    case MAT_C_DOUBLE:
      copy_values<double, double>(variable, values);
      break;
    default:
      throw DataError(what + ": expected an array of numbers");
  }
  std::vector<std::int64_t> order;
  for (std::int64_t d = variable.rank - 1; d >= 0; --d) order.push_back(d);
  return values.permute(order);
}

}  // namespace

at::Tensor read_mat(const std::filesystem::path& path, const std::string& name) {
  const MatFile file = open_mat(path);
  const std::vector<std::string> names = split(name, '.');
  const MatVariable whole(Mat_VarRead(file.get(), names.front().c_str()), Mat_VarFree);
  const matvar_t* variable = whole.get();
  for (std::size_t i = 1; variable && i < names.size(); ++i)
    variable = variable->class_type == MAT_C_STRUCT
                   ? Mat_VarGetStructFieldByName(const_cast<matvar_t*>(variable), names[i].c_str(), 0)  // NOLINT
                   : nullptr;
  if (!variable) throw DataError(fmt::format("{}: the variable '{}' is missing or damaged", path.string(), name));
  return numbers_of(*variable, fmt::format("{}: {}", path.string(), name));
}

bool has_mat_variable(const std::filesystem::path& path, const std::string& name) {
  const MatFile file = open_mat(path);
  const MatVariable info(Mat_VarReadInfo(file.get(), name.c_str()), Mat_VarFree);
  return info != nullptr;
}

Collection read_svhn(const SourceFiles& files) {
  constexpr std::int64_t side = 32, channels = 3, digits = 10;
  const DatasetInfo info = {ProblemKind::classification, {channels, side, side}, digits, files.classes};
  std::string hashes;
  const auto part = [&](const std::string& name) {
    const std::filesystem::path path = files.folder / name;
    const at::Tensor images = read_mat(path, "X"), labels = read_mat(path, "y").flatten().to(at::kLong);
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
