#pragma once

#include "grapes/base/memory.h"
#include "grapes/data/collection.h"
#include "grapes/data/targets.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>

namespace grapes::data {

/// Whether a file is read as arrays: .npy, .npz, .mat, or IDX by its name (train-images-idx3-ubyte, images.idx).
bool is_arrays(const std::filesystem::path& path);

/// Reads inputs [n, ...] and targets: [n] or [n, outputs] numbers, [n, classes] one-hot, or [n] strings.
///   x.npy      the targets are in the file whose name has y for x, or labels for images: x_train.npy and y_train.npy,
///              X.npy and y.npy. If both also exist with test for train, they are the test set, and likewise val.
///   IDX files  in the same way, as MNIST's are named: train-images-idx3-ubyte with train-labels-idx1-ubyte, and
///              t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte for testing. They may be .gz or .xz.
///   FILE.npz   as numpy.savez writes it, with arrays of such names: x_train, y_train, x_test, y_test; X, y; data and
///              labels
///   FILE.mat   MATLAB's, with arrays of such names; their examples may be along the last dimension
/// Bytes are images or numbers from 0 to 255, which become 0 ... 1. [n, rows, columns] are images with one channel, and
/// [n, rows, columns, 1, 3 or 4] have their channels last. Arrays in C order are not copied: their pages are read when
/// they are used, so they may be larger than memory.
/// @param memory_for_inputs  arrays of more bytes than this are expected to be in a mapped file and not to fit into
/// memory
/// @throws DataError
Collection read_arrays(const std::filesystem::path& path, TargetReading asked,
                       std::uint64_t memory_for_inputs = available_memory() / 2);

/// Reads inputs without targets: x.npy, an IDX file of any name, or the inputs of an .npz or .mat.
/// @return [n, inputs] or [n, channels, rows, columns], as they are stored. @throws DataError
at::Tensor array_inputs(const std::filesystem::path& path);

}  // namespace grapes::data
