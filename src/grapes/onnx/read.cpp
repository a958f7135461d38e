#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/onnx/fields.h"
#include "grapes/onnx/file.h"

#include <protozero/pbf_reader.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <utility>

namespace grapes::onnx {
namespace {

using protozero::pbf_reader;
static_assert(std::endian::native == std::endian::little, "raw data are little-endian, so the machine must be too");

/// Returns the numbers of a repeated field, which may be packed.
template <class Number, class Packed, class One>
void extend(std::vector<Number>& all, pbf_reader& from, Packed packed, One one) {
  if (from.wire_type() != protozero::pbf_wire_type::length_delimited) {
    all.push_back(static_cast<Number>(one(from)));
    return;
  }
  for (const auto number : packed(from)) all.push_back(static_cast<Number>(number));
}
void extend_longs(std::vector<std::int64_t>& all, pbf_reader& from) {
  extend(
      all, from, [](pbf_reader& r) { return r.get_packed_int64(); }, [](pbf_reader& r) { return r.get_int64(); });
}
void extend_ints(std::vector<std::int64_t>& all, pbf_reader& from) {
  extend(
      all, from, [](pbf_reader& r) { return r.get_packed_int32(); }, [](pbf_reader& r) { return r.get_int32(); });
}
void extend_floats(std::vector<float>& all, pbf_reader& from) {
  extend(
      all, from, [](pbf_reader& r) { return r.get_packed_float(); }, [](pbf_reader& r) { return r.get_float(); });
}
void extend_doubles(std::vector<double>& all, pbf_reader& from) {
  extend(
      all, from, [](pbf_reader& r) { return r.get_packed_double(); }, [](pbf_reader& r) { return r.get_double(); });
}

std::pair<std::string, std::string> entry_of(pbf_reader from) {
  std::pair<std::string, std::string> pair;
  while (from.next()) {
    if (from.tag() == entry::key)
      pair.first = from.get_string();
    else if (from.tag() == entry::value)
      pair.second = from.get_string();
    else
      from.skip();
  }
  return pair;
}

class ModelReader {
 public:
  explicit ModelReader(std::filesystem::path file) : file_(std::move(file)), content_(read_file(file_)) {}

  Model read() {
    Model model;
    model.format = 0;
    bool graph = false;
    try {
      for (pbf_reader from(content_); from.next();) switch (from.tag()) {
          case model::format:
            model.format = from.get_int64();
            break;
          case model::producer:
            model.producer = from.get_string();
            break;
          case model::producer_version:
            model.producer_version = from.get_string();
            break;
          case model::graph:
            model.graph = graph_of(from.get_message()), graph = true;
            break;
          case model::operators:
            model.operators.insert(operators_of(from.get_message()));
            break;
          case model::metadata:
            model.metadata.insert(entry_of(from.get_message()));
            break;
          default:
            from.skip();
        }
    } catch (const protozero::exception& error) {
      fail(std::string("it is damaged or not an ONNX model (") + error.what() + ")");
    }
    if (model.format < 1 || !graph) fail("it is not an ONNX model, which has an IR version and a graph");
    return model;
  }

 private:
  std::filesystem::path file_;
  std::string content_;
  mutable std::map<std::filesystem::path, std::string> others_;  // contents of the files that tensors lie in

  [[noreturn]] void fail(const std::string& what) const { throw DataError(file_.string() + ": " + what); }

  static std::pair<std::string, std::int64_t> operators_of(pbf_reader from) {
    std::pair<std::string, std::int64_t> pair;
    while (from.next()) {
      if (from.tag() == operators::domain)
        pair.first = from.get_string();
      else if (from.tag() == operators::version)
        pair.second = from.get_int64();
      else
        from.skip();
    }
    if (pair.first == "ai.onnx") pair.first.clear();  // another name of ONNX's own operators
    return pair;
  }

  Graph graph_of(pbf_reader from) const {
    Graph graph;
    while (from.next()) switch (from.tag()) {
        case graph::node:
          graph.nodes.push_back(node_of(from.get_message()));
          break;
        case graph::name:
          graph.name = from.get_string();
          break;
        case graph::initializer:
          graph.initializers.push_back(tensor_of(from.get_message()));
          break;
        case graph::input:
          graph.inputs.push_back(value_of(from.get_message()));
          break;
        case graph::output:
          graph.outputs.push_back(value_of(from.get_message()));
          break;
        case graph::sparse:
          fail("it has sparse tensors, which are not supported");
        default:
          from.skip();
      }
    return graph;
  }

  Node node_of(pbf_reader from) const {
    Node node;
    while (from.next()) switch (from.tag()) {
        case node::input:
          node.inputs.push_back(from.get_string());
          break;
        case node::output:
          node.outputs.push_back(from.get_string());
          break;
        case node::name:
          node.name = from.get_string();
          break;
        case node::type:
          node.type = from.get_string();
          break;
        case node::domain:
          node.domain = from.get_string();
          break;
        case node::attribute:
          add_attribute(node, from.get_message());
          break;
        default:
          from.skip();
      }
    if (node.domain == "ai.onnx") node.domain.clear();
    return node;
  }

  /// Attributes of other types than those of onnx::Attribute are left out.
  void add_attribute(Node& node, pbf_reader from) const {
    std::string name;
    Attribute one;
    std::vector<std::int64_t> ints;
    std::vector<float> floats;
    std::optional<attribute::Type> type;
    const auto found = [&](attribute::Type what) {
      if (!type) type = what;  // files of the first version have no field for the type
    };
    while (from.next()) switch (from.tag()) {
        case attribute::name:
          name = from.get_string();
          break;
        case attribute::type:
          type = static_cast<attribute::Type>(from.get_int32());
          break;
        case attribute::i:
          one = from.get_int64(), found(attribute::Type::i);
          break;
        case attribute::f:
          one = from.get_float(), found(attribute::Type::f);
          break;
        case attribute::s:
          one = from.get_string(), found(attribute::Type::s);
          break;
        case attribute::t:
          one = tensor_of(from.get_message()), found(attribute::Type::t);
          break;
        case attribute::ints:
          extend_longs(ints, from), found(attribute::Type::ints);
          break;
        case attribute::floats:
          extend_floats(floats, from), found(attribute::Type::floats);
          break;
        default:
          from.skip();
      }
    if (type == attribute::Type::ints) one = std::move(ints);
    if (type == attribute::Type::floats) one = std::move(floats);
    const auto order = {attribute::Type::i, attribute::Type::f,    attribute::Type::s,
                        attribute::Type::t, attribute::Type::ints, attribute::Type::floats};
    for (std::size_t place = 0; place < order.size(); ++place)
      if (type == order.begin()[place] && one.index() == place) node.attributes[name] = std::move(one);
  }

  Value value_of(pbf_reader from) const {
    Value value;
    while (from.next()) {
      if (from.tag() == value::name)
        value.name = from.get_string();
      else if (from.tag() == value::type)
        value.shape = shape_of(from.get_message());
      else
        from.skip();
    }
    return value;
  }

  static Shape shape_of(pbf_reader of_type) {
    Shape shape;
    while (of_type.next(type::tensor))
      for (pbf_reader of_tensor = of_type.get_message(); of_tensor.next(tensor_type::shape);)
        for (pbf_reader of_shape = of_tensor.get_message(); of_shape.next(shape::axis);) {
          std::int64_t size = -1;
          for (pbf_reader of_axis = of_shape.get_message(); of_axis.next();)
            if (of_axis.tag() == axis::size)
              size = of_axis.get_int64();
            else
              of_axis.skip();
          shape.push_back(size);
        }
    return shape;
  }

  Tensor tensor_of(pbf_reader from) const {
    Tensor tensor;
    auto type = static_cast<tensor::Type>(0);
    std::vector<float> floats;
    std::vector<double> doubles;
    std::vector<std::int64_t> ints;
    std::optional<std::string> raw;
    std::map<std::string, std::string> place;
    bool outside = false;
    while (from.next()) switch (from.tag()) {
        case tensor::dims:
          extend_longs(tensor.shape, from);
          break;
        case tensor::type:
          type = static_cast<tensor::Type>(from.get_int32());
          break;
        case tensor::name:
          tensor.name = from.get_string();
          break;
        case tensor::floats:
          extend_floats(floats, from);
          break;
        case tensor::doubles:
          extend_doubles(doubles, from);
          break;
        case tensor::ints:
          extend_ints(ints, from);
          break;
        case tensor::longs:
          extend_longs(ints, from);
          break;
        case tensor::raw:
          raw = from.get_string();
          break;
        case tensor::external:
          place.insert(entry_of(from.get_message()));
          break;
        case tensor::location:
          outside = from.get_int32() == 1;
          break;
        default:
          from.skip();
      }
    const std::int64_t n = elements(tensor);
    if (outside) raw = outside_bytes(tensor, place);
    switch (type) {
      case tensor::Type::f32:
        tensor.values = numbers<float>(tensor, raw, std::move(floats), n);
        break;
      case tensor::Type::f64:
        tensor.values = numbers<double>(tensor, raw, std::move(doubles), n);
        break;
      case tensor::Type::i64:
        tensor.values = numbers<std::int64_t>(tensor, raw, std::move(ints), n);
        break;
      case tensor::Type::i32:
        tensor.values = widened<std::int32_t>(tensor, raw, std::move(ints), n);
        break;
      case tensor::Type::i8:
        tensor.values = widened<std::int8_t>(tensor, raw, std::move(ints), n);
        break;
      case tensor::Type::u8:
      case tensor::Type::boolean:
        tensor.values = widened<std::uint8_t>(tensor, raw, std::move(ints), n);
        break;
      default:
        fail("tensor '" + tensor.name + "' has the element type " + std::to_string(static_cast<int>(type)) +
             " of ONNX; expected float32 (1), float64 (11) or whole numbers (2, 3, 6, 7, 9)");
    }
    return tensor;
  }

  std::int64_t elements(const Tensor& tensor) const {
    std::int64_t all = 1;
    for (const std::int64_t size : tensor.shape) {
      if (size < 0 || (size > 0 && all > std::numeric_limits<std::int32_t>::max() / size))
        fail("tensor '" + tensor.name + "' has the shape " + shape_text(tensor.shape) +
             "; expected at most 2^31 numbers");
      all *= size;
    }
    return all;
  }

  template <class Element>
  std::vector<Element> numbers(const Tensor& tensor, const std::optional<std::string>& raw, std::vector<Element> given,
                               std::int64_t n) const {
    const auto expected = static_cast<std::size_t>(n);
    if (raw) {
      if (raw->size() != expected * sizeof(Element))
        fail("tensor '" + tensor.name + "' of shape " + shape_text(tensor.shape) + " has " +
             std::to_string(raw->size()) + " bytes; expected " + std::to_string(expected * sizeof(Element)));
      given.resize(expected);
      if (n > 0) std::memcpy(given.data(), raw->data(), raw->size());
    }
    if (given.size() != expected)
      fail("tensor '" + tensor.name + "' of shape " + shape_text(tensor.shape) + " has " +
           std::to_string(given.size()) + " numbers; expected " + std::to_string(expected));
    return given;
  }

  template <class Element>
  std::vector<std::int64_t> widened(const Tensor& tensor, const std::optional<std::string>& raw,
                                    std::vector<std::int64_t> given, std::int64_t n) const {
    if (!raw) return numbers<std::int64_t>(tensor, raw, std::move(given), n);
    const std::vector<Element> narrow = numbers<Element>(tensor, raw, {}, n);
    return {narrow.begin(), narrow.end()};
  }

  /// @throws DataError for a path that leaves the folder of the model
  std::string outside_bytes(const Tensor& tensor, const std::map<std::string, std::string>& place) const {
    const auto find = [&](const char* key) {
      const auto found = place.find(key);
      return found != place.end() ? found->second : std::string();
    };
    const std::filesystem::path name = find("location");
    bool inside = !name.empty() && name.is_relative();
    for (const std::filesystem::path& part : name) inside = inside && part != "..";
    if (!inside)
      fail("tensor '" + tensor.name + "' lies in '" + name.string() + "'; expected a file in the folder of the model");
    const std::filesystem::path other = file_.parent_path() / name;
    if (!others_.contains(other)) others_[other] = read_file(other);
    const std::string& bytes = others_.at(other);
    const auto number = [&](const char* key, std::size_t otherwise) -> std::size_t {
      const std::string text = find(key);
      if (text.empty()) return otherwise;
      if (text.size() > 15 || text.find_first_not_of("0123456789") != std::string::npos)
        fail("tensor '" + tensor.name + "': its " + key + " in " + other.string() + " is '" + text +
             "'; expected a number of bytes");
      return std::stoull(text);
    };
    const std::size_t offset = number("offset", 0);
    const std::size_t length = number("length", bytes.size() - std::min(offset, bytes.size()));
    if (offset > bytes.size() || length > bytes.size() - offset)
      fail("tensor '" + tensor.name + "' needs bytes " + std::to_string(offset) + " to " +
           std::to_string(offset + length) + " of " + other.string() + ", which has " + std::to_string(bytes.size()));
    return bytes.substr(offset, length);
  }
};

}  // namespace

Model read(const std::filesystem::path& file) { return ModelReader(file).read(); }

}  // namespace grapes::onnx
