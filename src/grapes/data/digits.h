#pragma once

#include "grapes/data/collection.h"

namespace grapes::data {

inline constexpr int digits_rows = 1797, digits_columns = 65;
/// Row by row 64 gray values 0 ... 16 and the digit; made at build time by tools/embed_digits.py.
extern const unsigned char digits_table[digits_rows * digits_columns];

/// The test set of the UCI "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998): 1,797 digits, 8 × 8,
/// of 13 writers, as python3-sklearn ships it. It has no split of its own: the first 1,437 train, the last 360 test.
Collection read_digits(const SourceFiles& files);

}  // namespace grapes::data
