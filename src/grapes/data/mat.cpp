#include "grapes/data/mat.h"

#include "grapes/base/error.h"
#include "grapes/base/hdf5.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <matio.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>
#include <string_view>

namespace grapes::data {
namespace {

using Variable = std::unique_ptr<matvar_t, decltype(&Mat_VarFree)>;

/// Copies elements in MATLAB's order, whose first index runs fastest.
template <class From, class To = From>
at::Tensor from_matlab(const matvar_t& variable, at::ScalarType type) {
  std::vector<std::int64_t> reversed, order(static_cast<std::size_t>(variable.rank));
  for (int i = variable.rank; i-- > 0;) reversed.push_back(static_cast<std::int64_t>(variable.dims[i]));
  std::iota(order.rbegin(), order.rend(), 0);
  at::Tensor values = at::empty(reversed, type);
  auto* to = static_cast<To*>(values.data_ptr());
  for (std::int64_t i = 0; i < values.numel(); ++i) to[i] = static_cast<To>(static_cast<const From*>(variable.data)[i]);
  return values.permute(order).contiguous();
}

std::optional<at::Tensor> numbers_of(const matvar_t& variable) {
  switch (variable.data_type) {
    case MAT_T_DOUBLE:
      return from_matlab<double>(variable, at::kDouble);
    case MAT_T_SINGLE:
      return from_matlab<float>(variable, at::kFloat);
    case MAT_T_INT8:
      return from_matlab<std::int8_t>(variable, at::kChar);
    case MAT_T_UINT8:
      return from_matlab<std::uint8_t>(variable, variable.isLogical ? at::kBool : at::kByte);
    case MAT_T_INT16:
      return from_matlab<std::int16_t>(variable, at::kShort);
    case MAT_T_UINT16:
      return from_matlab<std::uint16_t, std::int32_t>(variable, at::kInt);
    case MAT_T_INT32:
      return from_matlab<std::int32_t>(variable, at::kInt);
    case MAT_T_UINT32:
      return from_matlab<std::uint32_t, std::int64_t>(variable, at::kLong);
    case MAT_T_INT64:
      return from_matlab<std::int64_t>(variable, at::kLong);
    case MAT_T_UINT64:
      return from_matlab<std::uint64_t, double>(variable, at::kDouble);
    default:
      return std::nullopt;
  }
}

/// The rows of an array of characters, without the spaces that fill them up.
std::vector<std::string> rows_of_text(const matvar_t& variable) {
  std::vector<std::string> rows(variable.dims[0]);
  const std::size_t width = variable.rank == 2 ? variable.dims[1] : 0;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (std::size_t i = 0; i < width; ++i) {
      const std::size_t at = row + i * rows.size();
      const bool wide = variable.data_size == 2;
      const unsigned c = wide ? static_cast<const std::uint16_t*>(variable.data)[at]
                              : static_cast<const std::uint8_t*>(variable.data)[at];
      if (c < 0x80 || !wide) {
        rows[row] += static_cast<char>(c);
      } else {
        if (c >= 0x800) rows[row] += static_cast<char>(0xe0 | c >> 12);
        rows[row] += static_cast<char>(c >= 0x800 ? 0x80 | (c >> 6 & 63) : 0xc0 | c >> 6);
        rows[row] += static_cast<char>(0x80 | (c & 63));
      }
    }
    rows[row].erase(rows[row].find_last_not_of(' ') + 1);
  }
  return rows;
}

thread_local bool damaged = false;

/// Notes whether libmatio reports an error. It returns what it has read of an array whose end is missing, and only
/// warns.
void note_damage(int level, std::string_view message) {
  damaged = damaged || level == MATIO_LOG_LEVEL_ERROR || level == MATIO_LOG_LEVEL_CRITICAL ||
            message.find("end-of-file") != std::string_view::npos;
}

/// Reads an array of a file of version 7.3 whose class libmatio cannot read. It expects that the name of the class ends
/// with a zero byte, as MATLAB writes it; h5py writes the name without.
at::Tensor hdf5_array(const std::string& file, const std::string& name) try {
  using hdf5::must, hdf5::Object;
  const hdf5::Silence silence;
  const Object from(H5Fopen(file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose, "it as HDF5");
  const Object set(H5Dopen2(from, name.c_str(), H5P_DEFAULT), H5Dclose, "it");
  const Object type(H5Dget_type(set), H5Tclose, "its type"), space(H5Dget_space(set), H5Sclose, "its shape");
  const H5T_class_t kind = H5Tget_class(type);
  must(kind == H5T_INTEGER || kind == H5T_FLOAT, "read it, expected plain numbers");
  std::vector<hsize_t> dims(static_cast<std::size_t>(std::max(H5Sget_simple_extent_ndims(space), 0)));
  must(!dims.empty() && H5Sget_simple_extent_dims(space, dims.data(), nullptr) > 0, "read it, expected an array");
  const bool bytes = kind == H5T_INTEGER && H5Tget_size(type) == 1 && H5Tget_sign(type) == H5T_SGN_NONE;
  const at::Tensor values =
      at::empty(std::vector<std::int64_t>(dims.begin(), dims.end()), bytes ? at::kByte : at::kDouble);
  must(
      H5Dread(set, bytes ? H5T_NATIVE_UINT8 : H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data_ptr()) >= 0,
      "read it");
  std::vector<std::int64_t> order(dims.size());
  std::iota(order.rbegin(), order.rend(), 0);
  return values.permute(order).contiguous();
} catch (const hdf5::Refused& refused) {
  throw DataError(fmt::format("{}, {}: {}", file, name, refused.what()));
}

class MatReader {
 public:
  explicit MatReader(const std::string& file) : file_(file) {}

  void add(const std::string& name, matvar_t& variable) {
    const auto refuse = [&](const char* what) {
      throw DataError(fmt::format("{}, {}: {}, expected plain numbers", file_, name, what));
    };
    if (variable.class_type == MAT_C_STRUCT) {
      const unsigned fields = Mat_VarGetNumberOfFields(&variable);
      char* const* const names = Mat_VarGetStructFieldnames(&variable);
      for (unsigned i = 0; i < fields; ++i)
        if (matvar_t* field = Mat_VarGetStructFieldByName(&variable, names[i], 0)) add(name + "_" + names[i], *field);
      return;
    }
    if (variable.data == nullptr || variable.rank < 1) return;
    if (variable.class_type == MAT_C_SPARSE) refuse("a sparse array; store full(...)");
    if (variable.isComplex != 0) refuse("complex numbers");
    if (variable.class_type == MAT_C_CHAR) {
      arrays[name] = {{}, rows_of_text(variable)};
    } else if (variable.class_type == MAT_C_CELL) {
      add_cells(name, variable);
    } else if (const auto values = numbers_of(variable)) {
      arrays[name] = {*values};
    }
  }

  std::map<std::string, StoredArray> arrays;

 private:
  void add_cells(const std::string& name, const matvar_t& variable) {
    StoredArray array;
    const std::size_t count = variable.nbytes / static_cast<std::size_t>(variable.data_size);
    for (std::size_t i = 0; i < count; ++i) {
      const matvar_t* cell = static_cast<matvar_t* const*>(variable.data)[i];
      if (cell == nullptr || cell->class_type != MAT_C_CHAR || cell->data == nullptr || cell->dims[0] != 1) return;
      array.texts.push_back(rows_of_text(*cell)[0]);
    }
    arrays[name] = std::move(array);
  }

  const std::string& file_;
};

}  // namespace

std::map<std::string, StoredArray> mat_arrays(const std::filesystem::path& path) {
  const std::string file = path.string();
  damaged = false;
  Mat_LogInit("grapes");
  // The text is const char* from libmatio 1.5.28 on, before it is char*.
  Mat_LogInitFunc("grapes", [](int level, auto* text) { note_damage(level, text); });
  const std::unique_ptr<mat_t, decltype(&Mat_Close)> mat(Mat_Open(file.c_str(), MAT_ACC_RDONLY), Mat_Close);
  if (!mat) throw DataError(file + ": not a file of MATLAB, or damaged");
  MatReader reader(file);
  while (true) {
    const Variable variable(Mat_VarReadNext(mat.get()), Mat_VarFree);
    if (!variable) break;
    if (variable->name == nullptr) continue;
    if (variable->class_type == MAT_C_EMPTY && Mat_GetVersion(mat.get()) == MAT_FT_MAT73)
      reader.arrays[variable->name] = {hdf5_array(file, variable->name)};
    else
      reader.add(variable->name, *variable);
  }
  if (damaged) throw DataError(file + ": damaged or truncated; copy or download it again");
  if (reader.arrays.empty()) throw DataError(file + ": has no arrays, or is damaged");
  return std::move(reader.arrays);
}

at::Tensor numbers(const std::map<std::string, StoredArray>& arrays, const std::string& name, const std::string& file) {
  const auto found = arrays.find(name);
  if (found == arrays.end() || !found->second.values.defined())
    throw DataError(fmt::format("{}: the variable '{}' is missing or damaged", file, name));
  return found->second.values;
}

}  // namespace grapes::data
