#include "grapes/data/elements.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

namespace grapes::data {
namespace {

/// Copies elements of type From, in reverse byte order if they are swapped, to a tensor.
template <class From, class To = From>
at::Tensor copied(std::string_view bytes, bool swapped, at::IntArrayRef shape, at::ScalarType type) {
  at::Tensor values = at::empty(shape, type);
  auto* to = static_cast<To*>(values.data_ptr());
  for (std::size_t i = 0; i < bytes.size() / sizeof(From); ++i) {
    char raw[sizeof(From)];
    std::memcpy(raw, bytes.data() + i * sizeof(From), sizeof(From));
    if (swapped) std::reverse(raw, raw + sizeof(From));
    From value;
    std::memcpy(&value, raw, sizeof value);
    to[i] = static_cast<To>(value);
  }
  return values;
}

/// Type of the elements in memory if they are used as they lie in the file.
std::optional<at::ScalarType> as_it_lies(const ElementType& type) {
  if (type.swapped) return std::nullopt;
  switch (type.kind) {
    case 'b':
      return at::kBool;
    case 'f':
      return type.size == 2 ? at::kHalf : type.size == 4 ? at::kFloat : at::kDouble;
    case 'i':
      return type.size == 1 ? at::kChar : type.size == 2 ? at::kShort : type.size == 4 ? at::kInt : at::kLong;
    default:
      return at::kByte;
  }
}

}  // namespace

at::Tensor elements(std::string_view bytes, const ElementType& type, at::IntArrayRef shape,
                    const std::shared_ptr<const void>& owner) {
  const bool swapped = type.swapped;
  if (type.kind == 'f' && type.size == 16) return copied<long double, double>(bytes, swapped, shape, at::kDouble);
  if (type.kind == 'u' && type.size == 2) return copied<std::uint16_t, std::int32_t>(bytes, swapped, shape, at::kInt);
  if (type.kind == 'u' && type.size == 4) return copied<std::uint32_t, std::int64_t>(bytes, swapped, shape, at::kLong);
  if (type.kind == 'u' && type.size == 8) return copied<std::uint64_t, double>(bytes, swapped, shape, at::kDouble);
  if (const auto kind = as_it_lies(type)) {
    const bool aligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % type.size == 0;  // NOLINT: an address
    if (owner && aligned && !bytes.empty())
      return at::from_blob(
          const_cast<char*>(bytes.data()), shape, [owner](void*) {}, *kind);  // NOLINT: nobody writes to it
    at::Tensor values = at::empty(shape, *kind);
    if (!bytes.empty()) std::memcpy(values.data_ptr(), bytes.data(), bytes.size());
    return values;
  }
  const bool real = type.kind == 'f';
  if (type.size == 2) return copied<std::uint16_t>(bytes, true, shape, real ? at::kHalf : at::kShort);
  if (type.size == 4) return copied<std::uint32_t>(bytes, true, shape, real ? at::kFloat : at::kInt);
  return copied<std::uint64_t>(bytes, true, shape, real ? at::kDouble : at::kLong);
}

}  // namespace grapes::data
