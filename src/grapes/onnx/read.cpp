#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/onnx/fields.h"
#include "grapes/onnx/file.h"

#include <protozero/pbf_reader.hpp>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstring>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>

namespace grapes::onnx {
namespace {

using protozero::pbf_reader;
static_assert(std::endian::native == std::endian::little, "raw data are little-endian, so the machine must be too");

/// Protozero only asserts that a field has the wire type that it is read as.
struct WrongWireType final : protozero::exception {
  const char* what() const noexcept override { return "a field has another wire type than in onnx.proto"; }
};
void require(const pbf_reader& from, protozero::pbf_wire_type type) {
  if (from.wire_type() != type) throw WrongWireType();
}

// take() reads the field at which the reader is.
void take(pbf_reader& from, std::string& to) {
  require(from, protozero::pbf_wire_type::length_delimited);
  to = from.get_string();
}
void take(pbf_reader& from, std::int64_t& to) {
  require(from, protozero::pbf_wire_type::varint);
  to = from.get_int64();
}
void take(pbf_reader& from, float& to) {
  require(from, protozero::pbf_wire_type::fixed32);
  to = from.get_float();
}
void take(pbf_reader& from, double& to) {
  require(from, protozero::pbf_wire_type::fixed64);
  to = from.get_double();
}
template <class One>
void take(pbf_reader& from, std::optional<One>& to) {
  take(from, to.emplace());
}
template <std::invocable<pbf_reader> Read>
void take(pbf_reader& from, Read& read) {
  require(from, protozero::pbf_wire_type::length_delimited);
  read(from.get_message());
}

auto packed(pbf_reader& from, std::int64_t) { return from.get_packed_int64(); }
auto packed(pbf_reader& from, float) { return from.get_packed_float(); }
auto packed(pbf_reader& from, double) { return from.get_packed_double(); }
/// Numbers of a repeated field may be packed.
template <class One>
void take(pbf_reader& from, std::vector<One>& to) {
  if constexpr (std::is_arithmetic_v<One>) {
    if (from.wire_type() == protozero::pbf_wire_type::length_delimited) {
      for (const One one : packed(from, One())) to.push_back(one);
      return;
    }
  }
  take(from, to.emplace_back());
}

/// A field of a message, and the value that it is read into or the function that reads the message in it.
template <class To>
struct Field {
  protozero::pbf_tag_type number;
  To to;
  bool take_from(pbf_reader& from) {
    if (from.tag() != number) return false;
    take(from, to);
    return true;
  }
};
template <class To>
Field<To> field(protozero::pbf_tag_type number, To&& to) {
  return {number, std::forward<To>(to)};
}

/// Reads these fields of a message, and skips all others.
template <class... To>
void read_fields(pbf_reader from, Field<To>... fields) {
  while (from.next())
    if (!(fields.take_from(from) || ...)) from.skip();
}

/// "ai.onnx" is another name of the domain of ONNX's own operators.
void shorten(std::string& domain) {
  if (domain == "ai.onnx") domain.clear();
}

class ModelReader {
 public:
  explicit ModelReader(std::filesystem::path file) : file_(std::move(file)), content_(read_file(file_)) {}

  Model read() {
    Model model;
    model.format = 0;
    bool graph = false;
    try {
      read_fields(pbf_reader(content_), field(model::format, model.format), field(model::producer, model.producer),
                  field(model::producer_version, model.producer_version),
                  field(model::graph, [&](pbf_reader from) { model.graph = graph_of(from), graph = true; }),
                  field(model::operators, [&](pbf_reader from) { model.operators.insert(operators_of(from)); }),
                  field(model::metadata, [&](pbf_reader from) { model.metadata.insert(entry_of(from)); }));
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

  static std::pair<std::string, std::string> entry_of(pbf_reader from) {
    std::pair<std::string, std::string> pair;
    read_fields(from, field(entry::key, pair.first), field(entry::value, pair.second));
    return pair;
  }

  static std::pair<std::string, std::int64_t> operators_of(pbf_reader from) {
    std::pair<std::string, std::int64_t> pair;
    read_fields(from, field(operators::domain, pair.first), field(operators::version, pair.second));
    shorten(pair.first);
    return pair;
  }

  Graph graph_of(pbf_reader from) const {
    Graph graph;
    read_fields(from, field(graph::name, graph.name),
                field(graph::node, [&](pbf_reader one) { graph.nodes.push_back(node_of(one)); }),
                field(graph::initializer, [&](pbf_reader one) { graph.initializers.push_back(tensor_of(one)); }),
                field(graph::input, [&](pbf_reader one) { graph.inputs.push_back(value_of(one)); }),
                field(graph::output, [&](pbf_reader one) { graph.outputs.push_back(value_of(one)); }),
                field(graph::sparse, [&](pbf_reader) { fail("it has sparse tensors, which are not supported"); }));
    return graph;
  }

  Node node_of(pbf_reader from) const {
    Node node;
    read_fields(from, field(node::input, node.inputs), field(node::output, node.outputs), field(node::name, node.name),
                field(node::type, node.type), field(node::domain, node.domain),
                field(node::attribute, [&](pbf_reader one) { add_attribute(node, one); }));
    shorten(node.domain);
    return node;
  }

  /// Leaves out attributes of other types than those of onnx::Attribute, such as graphs.
  void add_attribute(Node& node, pbf_reader from) const {
    std::string name;
    std::int64_t type = 0;
    std::optional<std::int64_t> i;
    std::optional<float> f;
    std::optional<std::string> s;
    std::optional<Tensor> t;
    std::vector<std::int64_t> ints;
    std::vector<float> floats;
    read_fields(from, field(attribute::name, name), field(attribute::type, type), field(attribute::i, i),
                field(attribute::f, f), field(attribute::s, s),
                field(attribute::t, [&](pbf_reader tensor) { t = tensor_of(tensor); }), field(attribute::ints, ints),
                field(attribute::floats, floats));
    using Type = attribute::Type;
    // Files of the first version have no type. Where it is known, files of proto3 leave out a value of 0.
    const auto is = [&](Type one, bool given) {
      return type == static_cast<std::int64_t>(one) || (type == 0 && given);
    };
    std::optional<Attribute> value;
    if (is(Type::i, i.has_value())) value = i.value_or(0);
    if (is(Type::f, f.has_value())) value = f.value_or(0);
    if (is(Type::s, s.has_value())) value = s.value_or("");
    if (is(Type::t, t.has_value())) value = t.value_or(Tensor{{}, {0}, std::vector<float>()});
    if (is(Type::ints, !ints.empty())) value = ints;
    if (is(Type::floats, !floats.empty())) value = floats;
    if (!value && (i || f || s || t || !ints.empty() || !floats.empty()))
      fail("attribute '" + name + "' of node '" + node.name + "' has the type " + std::to_string(type) +
           ", which does not fit its value");
    if (value && !node.attributes.emplace(name, *std::move(value)).second)
      fail("node '" + node.name + "' has the attribute '" + name + "' twice");
  }

  static Value value_of(pbf_reader from) {
    Value value;
    read_fields(from, field(value::name, value.name),
                field(value::type, [&](pbf_reader type) { value.shape = shape_of(type); }));
    return value;
  }

  static Shape shape_of(pbf_reader type) {
    Shape shape;
    const auto add_axis = [&](pbf_reader from) {
      std::int64_t size = -1;
      read_fields(from, field(axis::size, size));
      shape.push_back(size);
    };
    read_fields(type, field(type::tensor, [&](pbf_reader tensor) {
                  read_fields(tensor, field(tensor_type::shape,
                                            [&](pbf_reader axes) { read_fields(axes, field(shape::axis, add_axis)); }));
                }));
    return shape;
  }

  Tensor tensor_of(pbf_reader from) const {
    Tensor tensor;
    std::int64_t type = 0, location = 0;
    std::vector<float> floats;
    std::vector<double> doubles;
    std::vector<std::int64_t> ints;
    std::optional<std::string> raw;
    std::map<std::string, std::string> place;
    read_fields(from, field(tensor::dims, tensor.shape), field(tensor::type, type), field(tensor::name, tensor.name),
                field(tensor::floats, floats), field(tensor::doubles, doubles), field(tensor::ints, ints),
                field(tensor::longs, ints), field(tensor::raw, raw),
                field(tensor::external, [&](pbf_reader one) { place.insert(entry_of(one)); }),
                field(tensor::location, location));
    const std::optional<std::int64_t> n = elements(tensor.shape);
    if (!n)
      fail("tensor '" + tensor.name + "' has the shape " + shape_text(tensor.shape) +
           "; expected fewer than 2^31 numbers");
    if (location == 1) raw = outside_bytes(tensor, place);
    switch (static_cast<tensor::Type>(type)) {
      case tensor::Type::f32:
        tensor.values = numbers<float>(tensor, raw, std::move(floats), *n);
        break;
      case tensor::Type::f64:
        tensor.values = numbers<double>(tensor, raw, std::move(doubles), *n);
        break;
      case tensor::Type::i64:
        tensor.values = numbers<std::int64_t>(tensor, raw, std::move(ints), *n);
        break;
      case tensor::Type::i32:
        tensor.values = widened<std::int32_t>(tensor, raw, std::move(ints), *n);
        break;
      case tensor::Type::i8:
        tensor.values = widened<std::int8_t>(tensor, raw, std::move(ints), *n);
        break;
      case tensor::Type::u8:
      case tensor::Type::boolean:
        tensor.values = widened<std::uint8_t>(tensor, raw, std::move(ints), *n);
        break;
      default:
        fail("tensor '" + tensor.name + "' has the element type " + std::to_string(type) +
             " of ONNX; expected float32 (1), float64 (11) or whole numbers (2, 3, 6, 7, 9)");
    }
    return tensor;
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
