#pragma once

#include "grapes/data/dataset.h"

#include <string>

namespace grapes::data {

/// Random changes of an image, as in the authors' program (Keras' generator and Simard et al. 2003). Each is drawn anew
/// for every example, uniformly from -amplitude ... amplitude.
struct Augmentation {
  double rotate = 0;         ///< degrees, about the middle
  double shift = 0;          ///< part of the rows and of the columns, each drawn by itself
  double shear = 0;          ///< rows slide by this part of their distance from the middle
  double zoom = 0;           ///< rows and columns stretched by 1 ± this, each drawn by itself
  double elastic = 0;        ///< strength α, in pixels: of a displacement field of uniform noise in -1 ... 1 ...
  double elastic_width = 6;  ///< ... smoothed by a Gaussian of this standard deviation σ, in pixels

  bool none() const;
};

/// "rotate=10,shift=0.15,shear=0.15,zoom=0.15,elastic=34:6", any part of it; "" for none.
/// @throws UsageError that names the part
Augmentation parse_augmentation(const std::string& text);

/// Images [batch, channels, rows, columns], changed by draws that depend on (seed, row) alone. What comes in from
/// outside the image is 0. Bilinear; an amplitude of 0 changes no bit.
DatasetPtr augmented(DatasetPtr source, const Augmentation& augmentation);

}  // namespace grapes::data
