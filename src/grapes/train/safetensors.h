#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

namespace grapes::train {

/// A safetensors file: named tensors and a text dictionary. Layout: u64 little-endian header length, JSON header,
/// bytes.
struct Tensors {
  std::map<std::string, at::Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL. The tensors own their memory.
/// @throws DataError that names the file and what is wrong: too short, header no JSON, unknown dtype, a shape that does
/// not
///         fit its offsets, holes or overlap, duplicate keys
Tensors read_safetensors(const std::filesystem::path& path);
/// Written atomically, tensors in order of name, header padded to 8 bytes. @throws DataError
void write_safetensors(const std::filesystem::path& path, const Tensors& content);

/// "[3, 4]", for messages.
std::string shape_text(const at::Tensor& tensor);

}  // namespace grapes::train
