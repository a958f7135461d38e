#include "grapes/nir/heap.h"

#include <cstdint>
#include <cstring>

namespace grapes::hdf5 {
namespace {

/// A conversion from references to bytes that changes nothing.
herr_t keep(hid_t from, hid_t to, H5T_cdata_t* data, std::size_t, std::size_t, std::size_t, void*, void*, hid_t) {
  if (data->command != H5T_CONV_INIT) return 0;
  data->need_bkg = H5T_BKG_NO;
  return H5Tget_size(from) == reference_size && H5Tget_size(to) == reference_size ? 0 : -1;
}

/// Little-endian, as all numbers in the structure of a file.
std::uint64_t number(std::string_view bytes, std::size_t at, std::size_t size) {
  must(size <= bytes.size() && at <= bytes.size() - size, "read text: the file is truncated");
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

/// Returns object `wanted` of the heap collection at the start of `bytes`: a header of 16 bytes with the collection's
/// size, then objects, each with a header of 16 bytes (index 2, 6 others, size 8), padded to a multiple of 8.
std::string_view object(std::string_view bytes, std::uint64_t wanted) {
  must(bytes.starts_with("GCOL"), "read text: its heap is missing");
  const std::uint64_t end = number(bytes, 8, 8);
  must(end <= bytes.size(), "read text: its heap is truncated");
  for (std::uint64_t at = 16; at + 16 <= end;) {
    const std::uint64_t index = number(bytes, at, 2), size = number(bytes, at + 8, 8);
    must(index != 0, "read text: it is not in its heap");  // object 0 is the free space, the last
    must(size <= end - at - 16, "read text: it is longer than its heap");
    if (index == wanted) return bytes.substr(at + 16, size);
    at += 16 + (size + 7) / 8 * 8;
  }
  throw Refused("cannot read text: it is not in its heap");
}

}  // namespace

Object reference_type() {
  Object bytes(H5Tcreate(H5T_OPAQUE, reference_size), H5Tclose, "a type of bytes");
  static const bool registered = H5Tregister(H5T_PERS_SOFT, "keep", text_type(), bytes, keep) >= 0;
  must(registered, "read references unchanged");
  return bytes;
}

std::vector<std::string> long_texts(const std::vector<char>& references, hid_t file, std::string_view bytes) {
  const Object made(H5Fget_create_plist(file), H5Pclose, "the properties of the file");
  std::size_t address_size = 0, length_size = 0;
  hsize_t begin = 0;
  must(H5Pget_sizes(made, &address_size, &length_size) >= 0 && H5Pget_userblock(made, &begin) >= 0 &&
           begin < bytes.size() && address_size == 8 && length_size == 8,
       "read text: addresses and lengths must have 8 bytes");
  bytes.remove_prefix(begin);
  std::vector<std::string> texts;
  const std::string_view all(references.data(), references.size());
  for (std::size_t at = 0; at < all.size(); at += reference_size) {  // length, heap collection, object
    const std::uint64_t length = number(all, at, 4), address = number(all, at + 4, 8), index = number(all, at + 12, 4);
    if (length == 0) {
      texts.emplace_back();
      continue;
    }
    must(address < bytes.size(), "read text: its address is outside the file");
    const std::string_view text = object(bytes.substr(address), index);
    must(length <= text.size(), "read text: it is longer than its entry");
    texts.emplace_back(text.data(), strnlen(text.data(), length));
  }
  return texts;
}

}  // namespace grapes::hdf5
