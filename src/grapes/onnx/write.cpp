#include "grapes/base/file.h"
#include "grapes/onnx/fields.h"
#include "grapes/onnx/file.h"

#include <protozero/pbf_writer.hpp>

#include <cstring>
#include <utility>

namespace grapes::onnx {
namespace {

using protozero::pbf_writer;

/// Adds a message, which `fill` writes, as a field.
template <class Fill>
void add_message(pbf_writer& to, protozero::pbf_tag_type field, Fill fill) {
  pbf_writer inner(to, field);
  fill(inner);
}

template <class Element>
std::string bytes_of(const std::vector<Element>& values) {
  std::string bytes(values.size() * sizeof(Element), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

tensor::Type type_of(const std::vector<float>&) { return tensor::Type::f32; }
tensor::Type type_of(const std::vector<double>&) { return tensor::Type::f64; }
tensor::Type type_of(const std::vector<std::int64_t>&) { return tensor::Type::i64; }

void put(pbf_writer& to, const Tensor& tensor) {
  to.add_packed_int64(tensor::dims, tensor.shape.begin(), tensor.shape.end());
  std::visit(
      [&](const auto& values) {
        to.add_int32(tensor::type, static_cast<std::int32_t>(type_of(values)));
        to.add_string(tensor::name, tensor.name);
        to.add_bytes(tensor::raw, bytes_of(values));
      },
      tensor.values);
}

attribute::Type add(pbf_writer& to, std::int64_t i) { return to.add_int64(attribute::i, i), attribute::Type::i; }
attribute::Type add(pbf_writer& to, float f) { return to.add_float(attribute::f, f), attribute::Type::f; }
attribute::Type add(pbf_writer& to, const std::string& s) {
  to.add_bytes(attribute::s, s);
  return attribute::Type::s;
}
attribute::Type add(pbf_writer& to, const Tensor& t) {
  add_message(to, attribute::t, [&](pbf_writer& inner) { put(inner, t); });
  return attribute::Type::t;
}
// Numbers of attributes are not packed, as in onnx.proto. Readers accept both forms.
attribute::Type add(pbf_writer& to, const std::vector<std::int64_t>& ints) {
  for (const std::int64_t i : ints) to.add_int64(attribute::ints, i);
  return attribute::Type::ints;
}
attribute::Type add(pbf_writer& to, const std::vector<float>& floats) {
  for (const float f : floats) to.add_float(attribute::floats, f);
  return attribute::Type::floats;
}

void put(pbf_writer& to, const Node& node) {
  for (const std::string& input : node.inputs) to.add_string(node::input, input);
  for (const std::string& output : node.outputs) to.add_string(node::output, output);
  to.add_string(node::name, node.name);
  to.add_string(node::type, node.type);
  for (const auto& [name, content] : node.attributes)
    add_message(to, node::attribute, [&, &name = name, &content = content](pbf_writer& inner) {
      inner.add_string(attribute::name, name);
      const attribute::Type type = std::visit([&](const auto& one) { return add(inner, one); }, content);
      inner.add_int32(attribute::type, static_cast<std::int32_t>(type));
    });
  if (!node.domain.empty()) to.add_string(node::domain, node.domain);
}

void put(pbf_writer& to, const Value& value) {
  to.add_string(value::name, value.name);
  add_message(to, value::type, [&](pbf_writer& of_type) {
    add_message(of_type, type::tensor, [&](pbf_writer& of_tensor) {
      of_tensor.add_int32(tensor_type::element, static_cast<std::int32_t>(tensor::Type::f32));
      add_message(of_tensor, tensor_type::shape, [&](pbf_writer& of_shape) {
        for (const std::int64_t size : value.shape)
          add_message(of_shape, shape::axis, [&](pbf_writer& of_axis) {
            if (size < 0)
              of_axis.add_string(axis::name, "batch");
            else
              of_axis.add_int64(axis::size, size);
          });
      });
    });
  });
}

void put(pbf_writer& to, const Graph& graph) {
  const auto all = [&](protozero::pbf_tag_type field, const auto& list) {
    for (const auto& one : list) add_message(to, field, [&](pbf_writer& inner) { put(inner, one); });
  };
  all(graph::node, graph.nodes);
  to.add_string(graph::name, graph.name);
  all(graph::initializer, graph.initializers);
  all(graph::input, graph.inputs);
  all(graph::output, graph.outputs);
}

}  // namespace

void write(const std::filesystem::path& file, const Model& model) {
  std::string content;
  pbf_writer to(content);
  to.add_int64(model::format, model.format);
  to.add_string(model::producer, model.producer);
  to.add_string(model::producer_version, model.producer_version);
  add_message(to, model::graph, [&](pbf_writer& inner) { put(inner, model.graph); });
  for (const auto& [domain, version] : model.operators)
    add_message(to, model::operators, [&, &domain = domain, &version = version](pbf_writer& inner) {
      inner.add_string(operators::domain, domain);
      inner.add_int64(operators::version, version);
    });
  for (const auto& [key, value] : model.metadata)
    add_message(to, model::metadata, [&, &key = key, &value = value](pbf_writer& inner) {
      inner.add_string(entry::key, key);
      inner.add_string(entry::value, value);
    });
  write_file(file, content);
}

}  // namespace grapes::onnx
