#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace grapes::data {

/// A picture in a folder, and the index of its class.
struct PictureFile {
  std::filesystem::path path;
  std::int64_t label = 0;
};

/// The files of a folder of pictures. A part is empty if the folder has none.
struct PictureLayout {
  std::vector<std::string> classes;
  std::vector<PictureFile> train, validation, test;
  std::vector<std::string> notes;
};

/// Lists a folder of pictures in one of its layouts: CLASS/*.jpg, or train/CLASS/*.jpg with test and val. A class may
/// have folders of its own.
/// @throws DataError with the folder
PictureLayout picture_layout(const std::filesystem::path& path);

}  // namespace grapes::data
