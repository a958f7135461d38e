#pragma once

#include <protozero/types.hpp>

#include <cstdint>

/// Numbers of the fields that Grapes reads and writes, from ONNX's onnx.proto. The format is stable: new versions only
/// add fields.
namespace grapes::onnx {

namespace model {
enum : protozero::pbf_tag_type {
  format = 1,
  producer = 2,
  producer_version = 3,
  graph = 7,
  operators = 8,
  metadata = 14
};
}  // namespace model
namespace operators {
enum : protozero::pbf_tag_type { domain = 1, version = 2 };
}  // namespace operators
namespace entry {
enum : protozero::pbf_tag_type { key = 1, value = 2 };
}  // namespace entry
namespace graph {
enum : protozero::pbf_tag_type { node = 1, name = 2, initializer = 5, input = 11, output = 12, sparse = 15 };
}  // namespace graph
namespace node {
enum : protozero::pbf_tag_type { input = 1, output = 2, name = 3, type = 4, attribute = 5, domain = 7 };
}  // namespace node
namespace attribute {
enum : protozero::pbf_tag_type { name = 1, f = 2, i = 3, s = 4, t = 5, floats = 7, ints = 8, type = 20 };
enum class Type : std::int32_t { f = 1, i = 2, s = 3, t = 4, floats = 6, ints = 7 };
}  // namespace attribute
namespace tensor {
enum : protozero::pbf_tag_type {
  dims = 1,
  type = 2,
  floats = 4,
  ints = 5,
  longs = 7,
  name = 8,
  raw = 9,
  doubles = 10,
  external = 13,
  location = 14
};
enum class Type : std::int32_t { f32 = 1, u8 = 2, i8 = 3, i32 = 6, i64 = 7, boolean = 9, f64 = 11 };
}  // namespace tensor
namespace value {
enum : protozero::pbf_tag_type { name = 1, type = 2 };
}  // namespace value
namespace type {
enum : protozero::pbf_tag_type { tensor = 1 };
}  // namespace type
namespace tensor_type {
enum : protozero::pbf_tag_type { element = 1, shape = 2 };
}  // namespace tensor_type
namespace shape {
enum : protozero::pbf_tag_type { axis = 1 };
}  // namespace shape
namespace axis {
enum : protozero::pbf_tag_type { size = 1, name = 2 };
}  // namespace axis

}  // namespace grapes::onnx
