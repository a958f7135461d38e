#include "grapes/data/open.h"

#include "grapes/base/error.h"
#include "grapes/base/table.h"
#include "grapes/base/text.h"
#include "grapes/data/arrays.h"
#include "grapes/data/fetch.h"
#include "grapes/data/fill.h"
#include "grapes/data/folder.h"
#include "grapes/data/sampler.h"
#include "grapes/data/source.h"
#include "grapes/data/split.h"
#include "grapes/data/transform.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <tuple>
#include <utility>

namespace grapes::data {
namespace fs = std::filesystem;
namespace {

/// @throws UsageError for an option that is for files of pictures only
void refuse(const PictureOptions& options, const std::string& data) {
  const std::string why = ": only for a folder of pictures, not for " + data;
  if (options.resize.given()) throw UsageError("resize", to_string(options.resize) + why);
  if (options.crop.kind != Crop::Kind::none) throw UsageError("crop", to_string(options.crop) + why);
  if (options.gray) throw UsageError("gray", "true" + why);
}

Collection read_named(const Options& options, const Progress& progress, const DatasetInfo* known) {
  const Source& source = find_row(sources(), "data set", options.data);
  if (!source.pictures) refuse(options.pictures, source.name);
  std::optional<fs::path> folder = locate(source, options.data_dir);
  if (!folder && !source.mirrors.empty() && options.download) folder = fetch(source.name, progress);
  if (folder) return read_source(source, *folder, options, known);
  std::vector<std::string> looked;
  for (const fs::path& place : search_path(source, options.data_dir)) looked.push_back(place.string());
  throw DataError(fmt::format("{} was not found in {}; {}", source.name, fmt::join(looked, ", "),
                              source.advice.empty() ? "it can be downloaded, but download is off" : source.advice));
}

/// Reads a named source, or user data by its path.
/// @param known  what a trained model expects of a table, or null
Collection read(const Options& options, const Progress& progress, const DatasetInfo* known) {
  const fs::path path = options.data;
  const Source* source = row_called(sources(), options.data);
  const bool named = source != nullptr;
  const bool table = named ? source->table.has_value() : is_table(path);
  for (const auto& [setting, columns] : {std::pair("target", &options.table.target),
                                         {"ignore", &options.table.ignore},
                                         {"columns", &options.table.columns}})
    if (!columns->empty() && !table)
      throw UsageError(setting, fmt::format("{}: only a table has columns, not {}", *columns, options.data));
  if (table || (!named && is_arrays(path))) refuse(options.pictures, options.data);
  if (named && table) return read_named(options, progress, known);
  if (table) return read_table(path, options.table, options.targets, known);
  if (!named && is_arrays(path)) return read_arrays(path, options.targets);
  if (options.targets == TargetReading::numbers)
    throw UsageError("targets", "numbers: " + options.data + " has classes");
  std::error_code error;
  if (!named && fs::is_directory(path, error)) return read_folder(path, options.pictures);
  if (!named && (path.has_parent_path() || fs::exists(path, error)))
    throw DataError(fmt::format(
        "{}: {}, expected a table (.csv, .tsv, .data, .txt, also .gz or .xz), x.npy, FILE.npz, FILE.mat, an "
        "IDX file like images-idx3-ubyte, a folder of one folder of pictures per class, or a named source",
        options.data, fs::exists(path, error) ? "unknown kind of data" : "no such file"));
  return read_named(options, progress, known);
}

/// Indices in the source's training part.
struct Rows {
  at::Tensor train, validation, test;  ///< validation, test: undefined if the source has its own
};

Rows split_rows(const Collection& collection, const Options& options, std::uint64_t seed) {
  Rows rows;
  const at::Tensor targets = collection.train->targets();
  at::Tensor pool = file_order(targets.size(0));
  if (!collection.test) {
    const std::int64_t count = part_of(targets.size(0), options.test_split, "test_split");
    if (count == 0)
      throw UsageError("test_split", fmt::format("{}: {} has {} examples, so the test part would be empty",
                                                 options.test_split, collection.name, targets.size(0)));
    Parts parts = draw(targets, count, seed, "test");
    rows.test = std::move(parts.taken);
    pool = std::move(parts.rest);
  }

  const std::int64_t n = pool.size(0);
  const std::int64_t wanted = options.train_limit == 0 ? n : std::min(options.train_limit, n);
  rows.train = pool;
  if (!collection.validation) {
    const std::int64_t count =
        part_of(options.validation_split < 1 ? wanted : n, options.validation_split, "validation_split");
    const Parts parts = draw(targets.index_select(0, pool), count, seed, "validation");
    rows.validation = pool.index_select(0, parts.taken);
    rows.train = pool.index_select(0, parts.rest);
  }
  if (wanted < rows.train.size(0))
    rows.train =
        options.order == Order::file
            ? rows.train.narrow(0, 0, wanted)
            : rows.train.index_select(0, draw(targets.index_select(0, rows.train), wanted, seed, "train-limit").taken);
  return rows;
}

void check(const Options& options) {
  if (options.pad < 0) throw UsageError("pad", "must be at least 0 (0: no padding)");
  if (options.train_limit < 0) throw UsageError("train_limit", "must be at least 0 (0: all)");
  if (options.test_limit < 0) throw UsageError("test_limit", "must be at least 0 (0: all)");
  if (options.mean.empty() != options.deviation.empty())
    throw UsageError(options.mean.empty() ? "mean" : "std", "is missing: mean and std must be given together");
  if (!options.mean.empty() && options.normalize != "auto")
    throw UsageError("normalize", options.normalize + ": mean and std replace it; give one or the other");
}

/// Checks options that are for images only, or not for sequences.
void check_kind(const Options& options, const Collection& collection) {
  const DatasetInfo& info = collection.train->info();
  if (info.sequence && options.normalize != "unit" && options.normalize != "auto")
    throw UsageError("normalize", fmt::format("{}: the sequences of {} cannot be normalized; expected unit",
                                              options.normalize, options.data));
  if (info.input_shape.size() == 3 && !info.sequence) return;
  const std::string why =
      info.sequence ? options.data + " has sequences" : "the examples of " + collection.name + " are not images";
  if (!options.augment.none()) throw UsageError("augment", to_text(options.augment) + ": " + why);
  if (options.pad > 0) throw UsageError("pad", fmt::format("{}: {}", options.pad, why));
}

}  // namespace

Splits open(const Options& options, std::uint64_t split_seed, const Progress& progress, const Fitted* fitted) {
  check(options);
  const bool by_numbers = !options.mean.empty(), automatic = options.normalize == "auto" && !by_numbers;
  if (!automatic && !by_numbers) find_row(normalizations(), "normalization", options.normalize);
  Collection collection = read(options, progress, fitted && !fitted->info.inputs.empty() ? &fitted->info : nullptr);
  check_kind(options, collection);
  if (options.pad > 0)
    for (DatasetPtr* part : {&collection.train, &collection.train_drawn, &collection.validation, &collection.test})
      if (*part) *part = padded(*part, options.pad, collection.name);

  const Rows rows = split_rows(collection, options, split_seed);
  DatasetInfo info = collection.train->info();
  if (collection.missing != Missing::error && !info.inputs.empty()) {
    info.fill = fitted ? fitted->info.fill : fill_of(*subset(collection.train, rows.train), collection.missing);
    for (DatasetPtr* part : {&collection.train, &collection.test})
      if (*part) *part = filled(*part, info.fill);
  }
  const DatasetPtr train = subset(collection.train, rows.train);
  DatasetPtr test = rows.test.defined() ? subset(collection.train, rows.test) : collection.test;
  if (options.test_limit > 0 && options.test_limit < test->size()) test = subset(test, file_order(options.test_limit));

  Splits splits;
  const Source* source = row_called(sources(), options.data);
  const bool scaled = source && !source->table;  // their readers scale the inputs
  const NormalizationKind& kind = automatic && !scaled ? automatic_normalization(*train, collection.bytes)
                                                       : find_row(normalizations(), "normalization",
                                                                  automatic || by_numbers ? "unit" : options.normalize);
  splits.normalization = fitted       ? fitted->normalization
                         : by_numbers ? given_normalization(options.mean, options.deviation, info)
                                      : kind.fit(*train, collection.bytes);
  if (info.problem == ProblemKind::regression && fitted) {
    info.target_mean = fitted->info.target_mean;
    info.target_deviation = fitted->info.target_deviation;
  } else if (info.problem == ProblemKind::regression && automatic) {
    std::tie(info.target_mean, info.target_deviation) = scale_of_targets(train->targets());
  }
  if (automatic && !scaled && !fitted) collection.notes.push_back("normalize = " + kind.name + ": " + kind.summary);
  const auto prepared = [&](const DatasetPtr& part) { return normalized(part, splits.normalization); };
  splits.train_plain = prepared(train);
  // Augment before normalizing, so that pixels from outside an image are its background, 0.
  const DatasetPtr drawn = collection.train_drawn ? subset(collection.train_drawn, rows.train) : train;
  splits.train = options.augment.none() && drawn == train
                     ? splits.train_plain
                     : prepared(augmented(drawn, options.augment, splits.normalization.shift));
  splits.validation =
      prepared(rows.validation.defined() ? subset(collection.train, rows.validation) : collection.validation);
  splits.test = prepared(test);
  splits.info = std::move(info);
  splits.name = std::move(collection.name);
  splits.shuffle = options.order == Order::shuffle;
  splits.train_rows = rows.train;
  splits.validation_rows = rows.validation;
  splits.fingerprint = std::move(collection.fingerprint);
  splits.notes = std::move(collection.notes);
  if (collection.validation) splits.notes.emplace_back("the validation examples are the data set's own");
  return splits;
}

}  // namespace grapes::data
