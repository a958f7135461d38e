#pragma once

#include "grapes/data/dataset.h"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace grapes::data {

/// Raw examples as a reader found them: inputs [n, ...] uint8 or float32, targets [n] int64 or [n, outputs] float32.
struct Examples {
  at::Tensor inputs;
  at::Tensor targets;
};

/// What every reader returns.
struct Collection {
  std::string name;  ///< "mnist", or the path
  DatasetInfo info;
  float scale = 1;  ///< what takes a raw byte to 0 ... 1; 1 for float32
  Examples train;
  Examples test;            ///< undefined tensors where the source has no test set of its own
  std::string fingerprint;  ///< SHA-256 over the unpacked bytes that were read
  std::vector<std::string> notes;
};

/// A file of a named source, unpacked.
struct UnpackedFile {
  std::string path;  ///< for messages
  std::string bytes;
};
/// The files of a named source by their number in its row, each read when it is asked for. @throws DataError
using SourceFiles = std::function<UnpackedFile(std::size_t number)>;

}  // namespace grapes::data
