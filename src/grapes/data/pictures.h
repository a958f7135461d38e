#pragma once

#include "grapes/data/dataset.h"
#include "grapes/data/picture_options.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

namespace grapes::data {

/// Files of pictures, decoded on several threads: all at once if they are to be kept in memory, otherwise when they
/// are needed.
class PictureFiles {
 public:
  /// @param hold  keep the decoded and scaled pictures in memory. @throws DataError for a damaged file
  PictureFiles(std::vector<std::filesystem::path> paths, bool color, PictureOptions options, bool hold);

  const PictureOptions& options() const { return options_; }
  int threads() const { return threads_; }
  /// Passes a picture, decoded and scaled, to `use`. @throws DataError for a damaged file
  template <class Use>
  void with(std::int64_t number, const Use& use) const {
    if (held_.empty())
      use(read(number));
    else
      use(held_[static_cast<std::size_t>(number)]);
  }

 private:
  image::Raster read(std::int64_t number) const;

  const std::vector<std::filesystem::path> paths_;
  const bool color_;
  const PictureOptions options_;
  const int threads_;
  std::vector<image::Raster> held_;
};

/// The pictures as examples in 0 ... 1.
/// @param random_crops  crop at random places, drawn from the seed of get() and the number of the picture; else at the
///   center
DatasetPtr pictures(std::shared_ptr<const PictureFiles> files, at::Tensor targets, DatasetInfo info, bool random_crops);

/// @return [channels, rows, columns] uint8
at::Tensor to_tensor(const image::Raster& raster);
/// @param pixels  [1 or 3, rows, columns] uint8
image::Raster to_raster(const at::Tensor& pixels);

}  // namespace grapes::data
