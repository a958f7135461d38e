#include "grapes/train/safetensors.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <ostream>
#include <set>
#include <string_view>
#include <vector>

namespace grapes::train {
namespace {

using Json = nlohmann::json;
static_assert(std::endian::native == std::endian::little,
              "the format is little-endian, so the machine must be little-endian too");

constexpr const char* metadata_key = "__metadata__";
constexpr std::uint64_t header_limit = 100'000'000;  // bytes; the format's own limit
constexpr std::size_t prefix = sizeof(std::uint64_t);

struct Dtype {
  std::string_view name;
  at::ScalarType type;
};
constexpr std::array<Dtype, 10> dtypes = {{{"F64", at::kDouble},
                                           {"F32", at::kFloat},
                                           {"F16", at::kHalf},
                                           {"BF16", at::kBFloat16},
                                           {"I64", at::kLong},
                                           {"I32", at::kInt},
                                           {"I16", at::kShort},
                                           {"I8", at::kChar},
                                           {"U8", at::kByte},
                                           {"BOOL", at::kBool}}};

/// Position of one tensor in the byte buffer.
struct Place {
  std::string name;
  at::ScalarType type = at::kFloat;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
};

/// Reads a file and reports all errors in the same form.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path.string()), bytes_(read_file(path)) {}

  Tensors read() {
    const Json header = parse(header_text());
    Tensors content;
    std::vector<Place> places;
    for (const auto& [name, entry] : header.items()) {
      if (name == metadata_key)
        content.metadata = metadata(entry);
      else
        places.push_back(place(name, entry));
    }
    check_cover(places);
    for (const Place& place : places) content.tensors.emplace(place.name, tensor(place));
    return content;
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw DataError("cannot read " + path_ + " as safetensors: " + why);
  }

  std::string_view header_text() {
    if (bytes_.size() < prefix)
      refuse("it has " + std::to_string(bytes_.size()) + " bytes, expected at least 8 for the header's length");
    std::uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), prefix);
    if (length > header_limit)
      refuse("its header would have " + std::to_string(length) + " bytes; at most " + std::to_string(header_limit) +
             " are allowed");
    if (length > bytes_.size() - prefix)
      refuse("it ends within its header: " + std::to_string(length) + " bytes expected, " +
             std::to_string(bytes_.size() - prefix) + " found");
    const std::string_view text(bytes_.data() + prefix, length);
    buffer_ = std::string_view(bytes_).substr(prefix + length);
    if (text.empty() || text.front() != '{') refuse("its header does not begin with '{'");
    return text;
  }

  Json parse(std::string_view text) const {
    // nlohmann::json keeps the last of several equal keys, and another reader may keep the first, so this is an error.
    std::vector<std::set<std::string>> open_objects;
    const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
      if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
      if (event == Json::parse_event_t::object_end) open_objects.pop_back();
      if (event == Json::parse_event_t::key && !open_objects.back().insert(parsed.get<std::string>()).second)
        refuse("its header has the key '" + parsed.get<std::string>() + "' twice");
      return true;
    };
    try {
      return Json::parse(text, watch);
    } catch (const Json::parse_error& error) {
      refuse("its header is not valid JSON (byte " + std::to_string(prefix + error.byte) + " of the file)");
    }
  }

  std::map<std::string, std::string> metadata(const Json& entry) const {
    if (!entry.is_object()) refuse("__metadata__ must be an object of strings");
    std::map<std::string, std::string> result;
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) refuse("__metadata__." + key + " must be a string");
      result.emplace(key, value.get<std::string>());
    }
    return result;
  }

  std::vector<std::uint64_t> numbers(const std::string& name, const Json& entry, const char* field) const {
    const auto found = entry.find(field);
    if (found == entry.end()) refuse("tensor '" + name + "' has no field '" + field + "'");
    const bool counts =
        found->is_array() && std::all_of(found->begin(), found->end(), [](const Json& n) {
          return n.is_number_unsigned() &&
                 n.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
        });
    if (!counts) refuse("'" + std::string(field) + "' of tensor '" + name + "' must be whole numbers >= 0");
    return found->get<std::vector<std::uint64_t>>();
  }

  Place place(const std::string& name, const Json& entry) const {
    if (!entry.is_object()) refuse("the entry of tensor '" + name + "' is not an object");
    for (const auto& [field, value] : entry.items())
      if (field != "dtype" && field != "shape" && field != "data_offsets")
        refuse("tensor '" + name + "' has an unknown field '" + field + "'");
    Place place;
    place.name = name;

    const auto dtype = entry.find("dtype");
    if (dtype == entry.end() || !dtype->is_string()) refuse("tensor '" + name + "' has no field 'dtype'");
    const auto row = std::find_if(dtypes.begin(), dtypes.end(),
                                  [&](const Dtype& d) { return d.name == dtype->get_ref<const std::string&>(); });
    if (row == dtypes.end())
      refuse("tensor '" + name + "' has the dtype '" + dtype->get<std::string>() +
             "'; expected one of F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL");
    place.type = row->type;

    const auto offsets = numbers(name, entry, "data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1])
      refuse("'data_offsets' of tensor '" + name + "' must be [begin, end] with begin <= end");
    place.begin = offsets[0];
    place.end = offsets[1];

    // A 0 among the sizes makes the product 0 for sizes of any magnitude. It must not overflow before that.
    const auto shape = numbers(name, entry, "shape");
    place.shape.assign(shape.begin(), shape.end());
    std::uint64_t size = c10::elementSize(place.type);
    if (std::find(shape.begin(), shape.end(), 0U) != shape.end()) size = 0;
    for (const std::uint64_t n : shape)
      if (size != 0 && __builtin_mul_overflow(size, n, &size))
        refuse("the shape of tensor '" + name + "' is too large");
    if (size != place.end - place.begin)
      refuse("tensor '" + name + "' has " + std::to_string(size) + " bytes by its shape and dtype, " +
             std::to_string(place.end - place.begin) + " by its offsets");
    return place;
  }

  /// Checks that the tensors cover the buffer without gaps or overlap.
  void check_cover(std::vector<Place> places) const {
    std::sort(places.begin(), places.end(),
              [](const Place& a, const Place& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
    std::uint64_t position = 0;
    for (const Place& place : places) {
      if (place.begin < position) refuse("tensor '" + place.name + "' overlaps the one before it");
      if (place.begin > position)
        refuse("there is a gap of " + std::to_string(place.begin - position) + " bytes before tensor '" + place.name +
               "'");
      position = place.end;
    }
    if (position > buffer_.size())
      refuse("it ends early: " + std::to_string(position) + " bytes of tensors expected, " +
             std::to_string(buffer_.size()) + " found");
    if (position < buffer_.size())
      refuse("it has " + std::to_string(buffer_.size() - position) + " bytes that belong to no tensor");
  }

  at::Tensor tensor(const Place& place) const {
    const std::string_view bytes = buffer_.substr(place.begin, place.end - place.begin);
    if (place.type == at::kBool && std::any_of(bytes.begin(), bytes.end(), [](char b) { return b != 0 && b != 1; }))
      refuse("tensor '" + place.name + "' is BOOL and has a byte that is neither 0 nor 1");
    at::Tensor result;
    try {
      result = at::empty(place.shape, place.type);
    } catch (const c10::Error&) {  // a shape like [0, 2^62, 2^62] has no elements, but its strides overflow
      refuse("the shape of tensor '" + place.name + "' is too large");
    }
    if (!bytes.empty()) std::memcpy(result.data_ptr(), bytes.data(), bytes.size());
    return result;
  }

  std::string path_;
  std::string bytes_;
  std::string_view buffer_;  ///< after the header
};

}  // namespace

Tensors read_safetensors(const std::filesystem::path& path) { return Reader(path).read(); }

void write_safetensors(const std::filesystem::path& path, const Tensors& content) {
  const auto refuse = [&](const std::string& why) { throw DataError("cannot write " + path.string() + ": " + why); };
  Json header = Json::object();
  if (!content.metadata.empty()) header[metadata_key] = content.metadata;
  std::vector<at::Tensor> dense;
  std::uint64_t position = 0;
  for (const auto& [name, tensor] : content.tensors) {
    if (name == metadata_key) refuse("a tensor cannot be called __metadata__");
    if (!tensor.defined()) refuse("tensor '" + name + "' is undefined");
    const at::ScalarType type = tensor.scalar_type();
    const auto row = std::find_if(dtypes.begin(), dtypes.end(), [&](const Dtype& d) { return d.type == type; });
    if (row == dtypes.end())
      refuse("tensor '" + name + "' is of type " + c10::toString(type) + ", which the format does not support");
    dense.push_back(tensor.detach().cpu().contiguous());
    const std::uint64_t end = position + dense.back().nbytes();
    header[name] = {{"dtype", row->name}, {"shape", tensor.sizes().vec()}, {"data_offsets", {position, end}}};
    position = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::type_error&) {
    refuse("a name or the metadata is not valid UTF-8");
  }
  text.append((prefix - text.size() % prefix) % prefix, ' ');  // so that the buffer is aligned
  write_file(path, [&](std::ostream& out) {
    const std::uint64_t length = text.size();
    out.write(reinterpret_cast<const char*>(&length), prefix);
    out << text;
    for (const at::Tensor& tensor : dense)
      out.write(static_cast<const char*>(tensor.data_ptr()), static_cast<std::streamsize>(tensor.nbytes()));
  });
}

std::string shape_text(const at::Tensor& tensor) { return fmt::format("[{}]", fmt::join(tensor.sizes(), ", ")); }

}  // namespace grapes::train
