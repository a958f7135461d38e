#pragma once

#include "grapes/data/augment.h"
#include "grapes/data/collection.h"
#include "grapes/data/download.h"
#include "grapes/data/normalize.h"
#include "grapes/data/targets.h"

#include <cstdint>
#include <string>
#include <vector>

namespace grapes::data {

/// Of the training examples in an epoch: a new one every epoch, or that of the file.
enum class Order { shuffle, file };

/// What is read, and how it is split and changed.
struct Options {
  std::string data = "digits";  ///< a row of sources(), or a path: FILE.csv, FILE.npy (x.npy with y.npy beside), a
                                ///< folder of one folder of PNGs per class
  std::string data_dir;         ///< where to look first for a named source
  bool download = true;         ///< may fetch a named source that is not found

  double validation_split = 0.1;  ///< part of the training examples set aside (0 ... <1), or a count (>= 1, whole)
  double test_split = 0.2;        ///< the same for data without a test set
  std::int64_t train_limit = 0;   ///< train on only so many examples (0: all), drawn by seed; in file order the first.
                                  ///< A fraction for validation is then a fraction of these
  std::int64_t test_limit = 0;    ///< the first so many test examples (0: all)
  Order order = Order::shuffle;

  std::int64_t pad = 0;  ///< images in the middle of so many rows and columns, zeros around them; 0: as they are
  std::string normalize = "unit";  ///< a row of normalizations()
  Augmentation augment;            ///< of the training images

  std::string label_column;  ///< CSV: the target column(s), separated by commas; "": label, class, target or y, else
                             ///< the last
  TargetReading targets = TargetReading::automatic;
  EventOptions events;  ///< of recordings
};

/// The three parts of a data set. Validation is carved from train by `seed`, stratified by class; it may be empty.
struct Splits {
  DatasetPtr train;        ///< augmented if asked for
  DatasetPtr train_plain;  ///< never augmented; the same object as `train` where there is no augmentation
  DatasetPtr validation;
  DatasetPtr test;
  DatasetInfo info;
  Normalization normalization;     ///< learnt from the training examples; already in the three parts
  std::string name;                ///< "fashion-mnist", or the path
  bool shuffle = true;             ///< a new order every epoch; false: the order of the file
  at::Tensor train_rows;           ///< [n] int64: which of the source's training examples, from 0, these are
  at::Tensor validation_rows;      ///< the same; undefined where the source has a validation set of its own
  std::string fingerprint;         ///< SHA-256 over the bytes that were read: two runs with the same used the same data
  std::vector<std::string> notes;  ///< what a person should know of how it was read, e.g. "3 columns are text: one-hot"
};

/// Read a data set and split it.
/// @throws UsageError of the field of an option, DataError for a file (names the file and the line, field or byte)
Splits open(const Options& options, std::uint64_t split_seed, const Progress& progress = {});

}  // namespace grapes::data
