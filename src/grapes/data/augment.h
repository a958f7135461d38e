#pragma once

#include "grapes/data/dataset.h"

#include <ATen/core/Tensor.h>

#include <string>

namespace grapes::data {

/// Random changes of an image, drawn again for every example. The first group is as in the authors' program (Keras'
/// generator and Simard et al. 2003): uniform from [-amplitude, amplitude], with bilinear interpolation. The second
/// group is applied afterward. It moves whole pixels, so it does not blur.
struct Augmentation {
  double rotate = 0;         ///< degrees, about the center
  double shift = 0;          ///< fraction of the rows and of the columns, drawn separately
  double shear = 0;          ///< rows are displaced by this fraction of their distance from the center
  double zoom = 0;           ///< rows and columns are scaled by 1 ± this, drawn separately
  double elastic = 0;        ///< strength α in pixels of a displacement field of uniform noise from [-1, 1] ...
  double elastic_width = 6;  ///< ... smoothed by a Gaussian of this standard deviation σ, in pixels

  double crop = 0;    ///< pixels: the image is padded by this many zeros on each side, and cropped at a random position
  double flip = 0;    ///< probability of a horizontal flip
  double cutout = 0;  ///< pixels: side of a square with a random center in the image, clipped at the borders, whose
                      ///< pixels are hidden (DeVries and Taylor 2017)

  bool bilinear() const { return rotate != 0 || shift != 0 || shear != 0 || zoom != 0 || elastic != 0; }
  bool whole() const { return crop != 0 || flip != 0 || cutout != 0; }  ///< any of the second group
  bool none() const { return !bilinear() && !whole(); }
};

/// Parses any part of "rotate=10,shift=0.15,shear=0.15,zoom=0.15,elastic=34:6,crop=4,flip=0.5,cutout=8"; "": none.
/// @throws UsageError with the invalid part
Augmentation parse_augmentation(const std::string& text);
/// The inverse of parse_augmentation().
std::string to_text(const Augmentation& augmentation);

/// Augments images [batch, channels, rows, columns]. The draws depend on (seed, row) only, and those of crop, flip and
/// cutout on no other option. The result has the same bits in every batch. Pixels from outside the image are 0. An
/// amplitude of 0 changes nothing.
/// @param hidden  value of hidden pixels, broadcast over an example: the shift of the normalization that follows, so
///   that hidden pixels become 0, the mean of the training examples; undefined: 0
/// @throws UsageError for the setting "augment" if a crop or a cutout is larger than the images
DatasetPtr augmented(DatasetPtr source, const Augmentation& augmentation, const at::Tensor& hidden = {});

}  // namespace grapes::data
