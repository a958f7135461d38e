#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

namespace grapes::train {

/// Content of a safetensors file: named tensors and a text dictionary. Layout: u64 little-endian header length, JSON
/// header, bytes.
struct Tensors {
  std::map<std::string, at::Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads tensors of type F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL. The tensors own their memory.
/// @throws DataError with the file and the reason: too short, invalid JSON header, unknown dtype, a shape that does not
///   match its offsets, gaps or overlap, duplicate keys
Tensors read_safetensors(const std::filesystem::path& path);
/// Writes atomically, with tensors in order of name and the header padded to 8 bytes. @throws DataError
void write_safetensors(const std::filesystem::path& path, const Tensors& content);

/// Returns "[3, 4]", for messages.
std::string shape_text(const at::Tensor& tensor);

}  // namespace grapes::train
