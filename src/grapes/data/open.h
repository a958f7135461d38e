#pragma once

#include "grapes/data/augment.h"
#include "grapes/data/collection.h"
#include "grapes/data/download.h"
#include "grapes/data/normalize.h"
#include "grapes/data/picture_options.h"
#include "grapes/data/table.h"
#include "grapes/data/targets.h"

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::data {

/// Order of the training examples in an epoch: shuffled, or that of the file.
enum class Order { shuffle, file };

/// What to read, and how to split and change it.
struct Options {
  /// A name in sources(), or a path: a table, FILE.npy (x.npy with y.npy next to it), an IDX file, FILE.npz, FILE.mat,
  /// or a folder with one subfolder of pictures per class.
  std::string data = "digits";
  std::string data_dir;  ///< the first folder to search for a named source
  bool download = true;  ///< whether a named source may be downloaded if it is not found

  double validation_split =
      0.1;  ///< fraction of the training examples for validation (0 ... <1), or their number (>= 1, whole)
  double test_split = 0.2;  ///< the same for data without a test set
  /// Number of training examples to use, drawn by seed, or in file order the first ones; 0: all. A fraction for
  /// validation is then a fraction of these.
  std::int64_t train_limit = 0;
  std::int64_t test_limit = 0;  ///< number of test examples to use, the first ones; 0: all
  Order order = Order::shuffle;

  std::int64_t pad = 0;  ///< pad images with zeros to this number of rows and columns; 0: no padding
  /// auto, or a name in normalizations(). auto: automatic_normalization() for your own data, and standardized targets
  /// for a regression; unit for named sources.
  std::string normalize = "auto";
  /// Of images, instead of `normalize`: x ← (x − mean) / deviation, one number for all channels or one each, for values
  /// as they are read, which are 0 ... 1 for pictures. Empty: not given.
  std::vector<double> mean, deviation;
  Augmentation augment;     ///< of the training images
  PictureOptions pictures;  ///< of a folder of pictures

  TableOptions table;
  TargetReading targets = TargetReading::automatic;
  EventOptions events;  ///< of recordings
};

/// The three parts of a data set. The validation part is taken from the training part by `seed`, stratified by class;
/// it may be empty.
struct Splits {
  DatasetPtr train;        ///< augmented if requested
  DatasetPtr train_plain;  ///< not augmented; the same object as `train` without augmentation
  DatasetPtr validation;
  DatasetPtr test;
  DatasetInfo info;
  Normalization normalization;     ///< learned from the training examples; already applied to the three parts
  std::string name;                ///< "fashion-mnist", or the path
  bool shuffle = true;             ///< shuffle every epoch; false: the order of the file
  at::Tensor train_rows;           ///< [n] int64: indices of these examples in the source's training part
  at::Tensor validation_rows;      ///< the same for validation; undefined if the source has its own validation set
  std::string fingerprint;         ///< SHA-256 over the bytes that were read, to check that two runs used the same data
  std::vector<std::string> notes;  ///< remarks for people on how the data was read, e.g. "3 columns are text: one-hot"
};

/// What was computed from training examples: the normalization, and in `info` the replacements of missing values and
/// the scale of the targets.
struct Fitted {
  const DatasetInfo& info;
  const Normalization& normalization;
};

/// Reads a data set and splits it.
/// @param fitted  of a trained model, used instead of learning it from these training examples
/// @throws UsageError for the setting of an invalid option, DataError for a file (with the line, field or byte)
Splits open(const Options& options, std::uint64_t split_seed, const Progress& progress = {},
            const Fitted* fitted = nullptr);

}  // namespace grapes::data
