#pragma once

#include "grapes/data/dataset.h"
#include "grapes/data/normalize.h"
#include "grapes/data/sequence.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace grapes::data {

/// Every key of the command line that concerns data. Strings are parsed by open(), which names the key when one is
/// wrong.
struct Options {
  std::string data = "digits";  ///< a row of the source table, or a path: FILE.csv, FILE.npy (x.npy with y.npy beside),
                                ///< a folder of one folder of PNGs per class
  std::string data_dir;         ///< where to look first for a named source
  double validation = 0.1;      ///< part of the training examples set aside (0 ... <1), or a count (>= 1, whole)
  double test = 0.2;            ///< the same for one's own data, which comes without a test set
  std::int64_t train_limit = 0;    ///< train on only so many examples (0: all), drawn by seed; in file order the first.
                                   ///< A fraction for validation is then a fraction of these
  std::int64_t test_limit = 0;     ///< the first so many test examples (0: all)
  std::string order = "shuffle";   ///< or "file"
  std::int64_t pad = 0;            ///< pictures in the middle of so many rows and columns, zeros around them; 0: as
                                   ///< they are
  std::string normalize = "unit";  ///< "unit" (0 ... 1 for bytes, as is for floats), "standard" (per input, mean 0 and
                                   ///< sd 1 of the training examples), "channel" (the same per channel of images),
                                   ///< "zero-mean" (-1 ... 1)
  std::string augment;             ///< "" or "rotate=10,shift=0.15,shear=0.15,zoom=0.15,elastic=34:6,crop=4,flip=0.5,
                                   ///< cutout=8", any part of it
  std::string label_column;        ///< CSV: the name of the target column(s, separated by commas); "" =
                                   ///< "label"/"class"/"target"/"y", else the last
  std::string targets = "auto";    ///< "classes", "numbers"; auto: by what they look like
  EventOptions events;             ///< of recordings
  bool download = true;            ///< may fetch a named source that is not found
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
  at::Tensor train_rows;           ///< [n] int64: which of the source's training examples, from 0, these are; undefined
  at::Tensor validation_rows;      ///< where they are sequences
  std::string fingerprint;         ///< SHA-256 over the bytes that were read: two runs with the same used the same data
  std::vector<std::string> notes;  ///< what a person should know of how it was read, e.g. "3 columns are text: one-hot"
};

using Progress = std::function<void(const std::string& what, std::uint64_t done, std::uint64_t total)>;

/// Read a data set and split it.
/// @throws UsageError for an option, DataError for a file (names the file and the line, field or byte)
Splits open(const Options& options, std::uint64_t split_seed, const Progress& progress = {});

/// A summary for people: sizes, shape, per-class counts in each part, range, notes; a text table.
std::string summary(const Splits& splits);

/// One row per named source.
struct Source {
  std::string name;
  std::string summary;  ///< one line
  std::vector<std::string> files;
};
const std::vector<Source>& sources();

/// What is known of where a source's files are: `grapes data list`.
struct Found {
  std::string name;
  bool complete = false;
  std::string where;  ///< folder, "embedded", what is wrong with what was found, or "" if nothing was
};
Found find(const std::string& source, const std::string& data_dir);
/// Fetch a source into the user's cache (XDG_CACHE_HOME/grapes/data/NAME): resumable, SHA-256 checked, progress told.
/// @return the folder
std::string fetch(const std::string& source, const Progress& progress);
/// Compare the files of a source, where they are found, with the SHA-256 in the table; a line per file.
/// @return false if any differs or is missing
bool verify(const std::string& source, const std::string& data_dir,
            const std::function<void(const std::string&)>& line);

/// A contact sheet: a PNG of rows × columns examples of the training part (augmented, if asked for: then each row shows
/// one example as it is and `columns - 1` draws of it). @throws DataError if the examples are not images
void contact_sheet(const Splits& splits, const Options& options, int rows, int columns, std::uint64_t seed,
                   const std::string& png_path);

/// One image for `grapes predict`: a PNG, converted to the input shape (gray or color; scaled by area if the size
/// differs; said in `note`).
/// @param pad  as in Options: pictures that fit into so many pixels are padded to them, not scaled; 0: none are
/// @return input_shape, float32 in 0 ... 1: before normalization
at::Tensor read_png(const std::string& path, const std::vector<std::int64_t>& input_shape, std::string* note = nullptr,
                    std::int64_t pad = 0);

/// Examples without targets for a trained model: a PNG (as above), IDX images (plain or .gz), a CSV whose columns are
/// those of the training data (or numbers only, by position), an NPY array.
/// @param pad  as in the model's Options: PNGs and IDX images that fit into so many pixels are padded to them
/// @return [n, input_shape...] float32, before normalization
/// @throws DataError
at::Tensor read_inputs(const std::string& path, const DatasetInfo& info, std::string* note = nullptr,
                       std::int64_t pad = 0);

}  // namespace grapes::data
