#pragma once

#include "grapes/base/memory.h"
#include "grapes/data/collection.h"
#include "grapes/data/layout.h"
#include "grapes/data/picture_options.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace grapes::data {

/// Returns the entries of a folder without hidden files, in alphabetical order. @throws DataError
std::vector<std::filesystem::path> sorted_entries(const std::filesystem::path& folder);

/// Reads a folder of pictures: one folder per class, or such folders below `train`, `val` and `test`. The names of the
/// folders are the classes, in alphabetical order. Without a test part, `val` is the test part. The examples are gray
/// if all pictures are gray or options.gray is set, else in color.
/// @param memory  bytes that the decoded pictures may take; if they need more, each is decoded whenever it is used
/// @throws DataError with the file or folder
Collection read_folder(const std::filesystem::path& path, const PictureOptions& options = {},
                       std::uint64_t memory = available_memory() / 2);

/// Reads the files of a layout like that. @param name  for messages
Collection read_pictures(PictureLayout layout, const std::string& name, const PictureOptions& options,
                         std::uint64_t memory = available_memory() / 2);

/// Tiny ImageNet: train/WORDNET-NUMBER/images/*.JPEG, and val/images/*.JPEG with their classes in
/// val/val_annotations.txt. The test set is val, because the classes of `test` are not published.
/// @throws DataError with the file
Collection read_tiny_imagenet(const SourceFiles& files);

}  // namespace grapes::data
