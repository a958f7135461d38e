#pragma once

#include "grapes/data/dataset.h"

#include <ATen/core/Tensor.h>

#include <string>

namespace grapes::data {

/// Random changes of an image, drawn anew for every example. Those of the first block are as in the authors' program
/// (Keras' generator and Simard et al. 2003), uniform from -amplitude ... amplitude and bilinear; those of the second
/// come after them, move whole pixels and blur nothing.
struct Augmentation {
  double rotate = 0;         ///< degrees, about the middle
  double shift = 0;          ///< part of the rows and of the columns, each drawn by itself
  double shear = 0;          ///< rows slide by this part of their distance from the middle
  double zoom = 0;           ///< rows and columns stretched by 1 ± this, each drawn by itself
  double elastic = 0;        ///< strength α, in pixels: of a displacement field of uniform noise in -1 ... 1 ...
  double elastic_width = 6;  ///< ... smoothed by a Gaussian of this standard deviation σ, in pixels

  double crop = 0;    ///< pixels: cut out again, anywhere, of the image with so many zeros on each side
  double flip = 0;    ///< probability to be mirrored left to right
  double cutout = 0;  ///< pixels: side of a square, its middle anywhere in the image and what is outside of it cut off,
                      ///< whose pixels are hidden (DeVries and Taylor 2017)

  bool bilinear() const { return rotate != 0 || shift != 0 || shear != 0 || zoom != 0 || elastic != 0; }
  bool whole() const { return crop != 0 || flip != 0 || cutout != 0; }  ///< any of the second block
  bool none() const { return !bilinear() && !whole(); }
};

/// "rotate=10,shift=0.15,shear=0.15,zoom=0.15,elastic=34:6,crop=4,flip=0.5,cutout=8", any part of it; "" for none.
/// @throws UsageError that names the part
Augmentation parse_augmentation(const std::string& text);
/// The way back.
std::string to_text(const Augmentation& augmentation);

/// Images [batch, channels, rows, columns], changed by draws that depend on (seed, row) alone, those of crop, flip and
/// cutout each on no other part of the augmentation. So does the result, bit for bit: not on the batch it is in. What
/// comes in from outside the image is 0. An amplitude of 0 changes no bit.
/// @param hidden  what a cutout shows, broadcast over an example: the shift of the normalization that follows, after
///                which it is 0, the mean of the training examples; undefined: 0
/// @throws UsageError of the field "augment" for a crop or a cutout larger than the images
DatasetPtr augmented(DatasetPtr source, const Augmentation& augmentation, const at::Tensor& hidden = {});

}  // namespace grapes::data
