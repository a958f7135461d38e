#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/hdf5.h"
#include "grapes/nir/file.h"

namespace grapes::nir {
namespace {

using hdf5::must;
using hdf5::Object;
using hdf5::Refused;

template <class Value>
hid_t native() {
  if constexpr (std::is_same_v<Value, double>)
    return H5T_IEEE_F64LE;
  else if constexpr (std::is_same_v<Value, float>)
    return H5T_IEEE_F32LE;
  else
    return H5T_STD_I64LE;
}

Object group(hid_t at, const std::string& name) {
  return {H5Gcreate2(at, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose, "the group '" + name + "'"};
}

void put(hid_t at, const std::string& name, const Array& array) {
  std::vector<hsize_t> sizes(array.shape.begin(), array.shape.end());
  const Object space(array.shape.empty() ? H5Screate(H5S_SCALAR)
                                         : H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr),
                     H5Sclose, "a shape");
  const Object properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "a list of properties");
  H5Pset_obj_track_times(properties, 0);  // so that the same graph gives the same bytes
  const auto set = [&](hid_t in_file, hid_t here, const void* values) {
    const Object data(H5Dcreate2(at, name.c_str(), in_file, space, H5P_DEFAULT, properties, H5P_DEFAULT), H5Dclose,
                      "the data set '" + name + "'");
    must(count(array.shape) == 0 || H5Dwrite(data, here, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0,
         "write the data set '" + name + "'");
  };
  std::visit(
      [&](const auto& values) {
        using Value = typename std::decay_t<decltype(values)>::value_type;
        must(static_cast<std::int64_t>(values.size()) == count(array.shape), "set the shape of '" + name + "'");
        if constexpr (std::is_same_v<Value, std::string>) {
          std::vector<const char*> pointers;
          for (const std::string& text : values) pointers.push_back(text.c_str());
          const Object type = hdf5::text_type();
          set(type, type, pointers.data());
        } else {
          const hid_t here = std::is_same_v<Value, double>  ? H5T_NATIVE_DOUBLE
                             : std::is_same_v<Value, float> ? H5T_NATIVE_FLOAT
                                                            : H5T_NATIVE_INT64;
          set(native<Value>(), here, values.data());
        }
      },
      array.values);
}

void put_all(hid_t at, const Fields& fields) {
  for (const auto& [name, array] : fields) put(at, name, array);
}

void put_metadata(hid_t at, const Fields& metadata) {
  if (!metadata.empty()) put_all(group(at, "metadata"), metadata);
}

std::string bytes_of(const Graph& graph) {
  const Object access = hdf5::in_memory();
  const Object file(H5Fcreate("nir", H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose, "a file in memory");
  put(file, "version", text(graph.version));
  {
    const Object top = group(file, "node");
    put(top, "type", text("NIRGraph"));
    std::vector<std::string> ends;
    for (const auto& [from, to] : graph.edges) {
      ends.push_back(from);
      ends.push_back(to);
    }
    put(top, "edges", {{static_cast<std::int64_t>(graph.edges.size()), 2}, ends});
    const Object nodes = group(top, "nodes");
    for (const auto& [name, node] : graph.nodes) {
      const Object one = group(nodes, name);
      put(one, "type", text(node.type));
      put_all(one, node.fields);
      put_metadata(one, node.metadata);
    }
    put_metadata(top, graph.metadata);
  }
  must(H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0, "finish the file");
  const ssize_t size = H5Fget_file_image(file, nullptr, 0);
  must(size > 0, "get the size of the file");
  std::string bytes(static_cast<std::size_t>(size), '\0');
  must(H5Fget_file_image(file, bytes.data(), bytes.size()) == size, "copy the file from memory");
  return bytes;
}

}  // namespace

void write(const std::filesystem::path& file, const Graph& graph) {
  std::string bytes;
  {
    const hdf5::Silence silence;
    try {
      bytes = bytes_of(graph);
    } catch (const Refused& refused) {
      throw DataError(file.string() + ": " + refused.what());
    }
  }
  write_file(file, bytes);
}

}  // namespace grapes::nir
