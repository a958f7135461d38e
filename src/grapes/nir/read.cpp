#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/hdf5.h"
#include "grapes/nir/file.h"
#include "grapes/nir/flatten.h"
#include "grapes/nir/heap.h"

#include <cstring>
#include <map>
#include <new>

namespace grapes::nir {
namespace {

using hdf5::must;
using hdf5::Object;
using hdf5::Refused;

/// A compressed number or byte of text takes at least this fraction of a byte. A file that claims more is damaged.
constexpr std::uint64_t most_per_byte = 2048;
constexpr std::size_t widest_number = 16;  // bytes
constexpr int most_depth = 16;             // of nested groups

class Reader {
 public:
  explicit Reader(const std::string& bytes)
      : bytes_(bytes), left_(most_per_byte * bytes.size()), access_(hdf5::in_memory()), file_(open(access_, bytes)) {}

  Graph graph() {
    Graph graph;
    if (!is(file_, "version", H5O_TYPE_DATASET)) throw Refused("no data set /version: not a NIR file");
    graph.version = text_of(array(file_, "version"));
    if (!is(file_, "node", H5O_TYPE_GROUP)) throw Refused("no group /node: not a NIR file");
    const Object top = group(file_, "node");
    if (const std::string type = required_type(top, "/node"); type != "NIRGraph")
      throw Refused("/node must be a NIRGraph; got '" + type + "'");
    read_graph(top, "/node", graph);
    if (is(top, "metadata", H5O_TYPE_GROUP)) metadata(group(top, "metadata"), "", graph.metadata);
    return graph;
  }

 private:
  static Object open(const Object& access, const std::string& bytes) {
    const bool taken = H5Pset_file_image(access, const_cast<char*>(bytes.data()), bytes.size()) >= 0;
    const hid_t file = taken ? H5Fopen("nir", H5F_ACC_RDONLY, access) : H5I_INVALID_HID;
    if (file < 0) throw Refused("not an HDF5 file, or a truncated or damaged one");
    return {file, H5Fclose, "file"};
  }

  /// Reads nodes and edges of a NIRGraph. A graph inside it is expanded, see nir/flatten.h.
  void read_graph(const Object& top, const std::string& place, Graph& graph, int depth = 0) {
    if (depth > most_depth) throw Refused(place + ": too many levels of nested graphs");
    if (!is(top, "nodes", H5O_TYPE_GROUP)) throw Refused("no group " + place + "/nodes");
    if (!is(top, "edges", H5O_TYPE_DATASET)) throw Refused("no data set " + place + "/edges");
    const Object nodes = group(top, "nodes");
    std::map<std::string, Graph> within;
    for (const std::string& name : members(nodes)) {
      const std::string here = place + "/nodes/" + name;
      if (!is(nodes, name, H5O_TYPE_GROUP)) throw Refused(here + " must be a group");
      const Object one = group(nodes, name);
      if (required_type(one, "node '" + name + "'") == "NIRGraph")
        read_graph(one, here, within[name], depth + 1);
      else
        graph.nodes[name] = node(one, name);
    }
    const Array edges = array(top, "edges");
    const bool none = count(edges.shape) == 0;
    if (!none && (!edges.is_text() || edges.shape.size() != 2 || edges.shape[1] != 2))
      throw Refused(place + "/edges must be text [edge, 2]; got " + shape_text(edges.shape) +
                    (edges.is_text() ? "" : " of numbers"));
    if (!none) {
      const auto& names = std::get<std::vector<std::string>>(edges.values);
      for (std::size_t e = 0; e + 1 < names.size(); e += 2) graph.edges.emplace_back(names[e], names[e + 1]);
    }
    for (const auto& [name, inner] : within) {
      const std::string fault = take_in(graph, name, inner);
      if (!fault.empty()) throw Refused(place + "/nodes/" + name + ": " + fault);
    }
  }

  static Object group(hid_t at, const std::string& name) {
    return {H5Gopen2(at, name.c_str(), H5P_DEFAULT), H5Gclose, "the group '" + name + "'"};
  }

  /// Whether a member exists. Broken links do not count, and links to other files are never followed.
  static bool is(hid_t at, const std::string& name, H5O_type_t type) {
    H5L_info_t link;
    if (H5Lexists(at, name.c_str(), H5P_DEFAULT) <= 0 || H5Lget_info(at, name.c_str(), &link, H5P_DEFAULT) < 0 ||
        link.type != H5L_TYPE_HARD)
      return false;
    H5O_info_t info;
    return H5Oget_info_by_name(at, name.c_str(), &info, H5P_DEFAULT) >= 0 && info.type == type;
  }

  static std::vector<std::string> members(hid_t group) {
    std::vector<std::string> names;
    const auto keep = [](hid_t, const char* name, const H5L_info_t*, void* into) -> herr_t {
      static_cast<std::vector<std::string>*>(into)->emplace_back(name);
      return 0;
    };
    must(H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, nullptr, keep, &names) >= 0, "list the members of a group");
    return names;
  }

  std::string required_type(hid_t group, const std::string& name) {
    if (!is(group, "type", H5O_TYPE_DATASET)) throw Refused(name + " has no type");
    const Array type = array(group, "type");
    if (text_of(type).empty()) throw Refused(name + ": its type must be text");
    return text_of(type);
  }

  Node node(const Object& group, const std::string& name) {
    Node node;
    node.type = required_type(group, "node '" + name + "'");
    for (const std::string& field : members(group)) {
      if (field == "type") continue;
      if (field == "metadata" && is(group, field, H5O_TYPE_GROUP))
        metadata(this->group(group, field), "", node.metadata);
      else if (is(group, field, H5O_TYPE_DATASET))
        node.fields[field] = array(group, field);
      else
        throw Refused("node '" + name + "' (" + node.type + ") contains '" + field + "', which is not a data set");
    }
    return node;
  }

  /// Reads metadata, including nested groups as "outer/inner".
  void metadata(const Object& group, const std::string& prefix, Fields& into, int depth = 0) {
    if (depth > most_depth) throw Refused("metadata: too many levels of nested groups");
    for (const std::string& name : members(group)) {
      if (is(group, name, H5O_TYPE_GROUP))
        metadata(this->group(group, name), prefix + name + "/", into, depth + 1);
      else if (is(group, name, H5O_TYPE_DATASET))
        into[prefix + name] = array(group, name);
    }
  }

  Array array(hid_t at, const std::string& name) {
    const Object set(H5Dopen2(at, name.c_str(), H5P_DEFAULT), H5Dclose, "the data set '" + name + "'");
    const Object space(H5Dget_space(set), H5Sclose, "the shape of '" + name + "'");
    const Object type(H5Dget_type(set), H5Tclose, "the type of '" + name + "'");
    const Object made(H5Dget_create_plist(set), H5Pclose, "the properties of '" + name + "'");
    if (H5Pget_external_count(made) > 0 || H5Pget_layout(made) == H5D_VIRTUAL)
      throw Refused("'" + name + "' stores its numbers in another file, which is not supported");
    if (H5Pget_layout(made) == H5D_CHUNKED) check_chunks(set, space, name);
    Array array;
    const int axes = H5Sget_simple_extent_ndims(space);
    must(axes >= 0 && H5Sget_simple_extent_type(space) != H5S_NULL, "read the shape of '" + name + "'");
    std::vector<hsize_t> sizes(static_cast<std::size_t>(axes));
    H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
    for (const hsize_t size : sizes) array.shape.push_back(static_cast<std::int64_t>(size));
    const std::size_t width = H5Tget_size(type);
    const auto values = [&]<class Value>(std::vector<Value> empty, hid_t as, std::uint64_t per_element = 1) {
      std::uint64_t n = per_element;
      for (const hsize_t size : sizes) {
        if (size > 0 && n > left_ / size) throw Refused("'" + name + "' has more numbers than the file can contain");
        n *= size;
      }
      left_ -= n;
      empty.resize(n);
      must(n == 0 || H5Dread(set, as, H5S_ALL, H5S_ALL, H5P_DEFAULT, empty.data()) >= 0,
           "read the data set '" + name + "'");
      return empty;
    };
    const auto neither = [&] { return Refused("the data set '" + name + "' contains neither numbers nor text"); };
    const H5T_class_t kind = H5Tget_class(type);
    if (kind != H5T_STRING && width > widest_number) throw neither();
    switch (kind) {
      case H5T_FLOAT:
        if (width > sizeof(float))
          array.values = values(std::vector<double>(), H5T_NATIVE_DOUBLE);
        else
          array.values = values(std::vector<float>(), H5T_NATIVE_FLOAT);
        break;
      case H5T_INTEGER:
        array.values = values(std::vector<std::int64_t>(), H5T_NATIVE_INT64);
        break;
      case H5T_ENUM: {  // h5py writes booleans like this
        if (width != 1) throw neither();
        const std::vector<std::int8_t> truths = values(std::vector<std::int8_t>(), type);
        array.values = std::vector<std::int64_t>(truths.begin(), truths.end());
        break;
      }
      case H5T_STRING:
        if (H5Tis_variable_str(type) > 0)
          array.values = hdf5::long_texts(values(std::vector<char>(), hdf5::reference_type(), hdf5::reference_size),
                                          file_, bytes_);
        else
          array.values = texts(values(std::vector<char>(), type, width), width);
        break;
      default:
        throw neither();
    }
    return array;
  }

  /// Checks that the chunks lie within the file, because HDF5 allocates the memory that each claims.
  void check_chunks(const Object& set, const Object& space, const std::string& name) const {
    hsize_t chunks = 0;
    must(H5Dget_num_chunks(set, space, &chunks) >= 0, "find the numbers of '" + name + "'");
    for (hsize_t i = 0; i < chunks; ++i) {
      std::vector<hsize_t> place(H5S_MAX_RANK);
      unsigned filters = 0;
      haddr_t address = 0;
      hsize_t size = 0;
      must(H5Dget_chunk_info(set, space, i, place.data(), &filters, &address, &size) >= 0 && size <= bytes_.size() &&
               address <= bytes_.size() - size,
           "find the numbers of '" + name + "'");
    }
  }

  /// Converts texts of fixed width, padded with zeros.
  static std::vector<std::string> texts(const std::vector<char>& bytes, std::size_t width) {
    std::vector<std::string> values;
    for (std::size_t at = 0; at < bytes.size(); at += width)
      values.emplace_back(bytes.data() + at, strnlen(bytes.data() + at, width));
    return values;
  }

  const std::string& bytes_;
  std::uint64_t left_;  // numbers and bytes of text that the file may still contain
  Object access_;
  Object file_;
};

}  // namespace

Graph read(const std::filesystem::path& file) {
  const std::string bytes = read_file(file);
  const hdf5::Silence silence;
  try {
    return Reader(bytes).graph();
  } catch (const Refused& refused) {
    throw DataError(file.string() + ": " + refused.what());
  } catch (const std::bad_alloc&) {
    throw DataError(file.string() + ": claims more data than fits into memory");
  }
}

}  // namespace grapes::nir
