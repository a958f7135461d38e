#include "grapes/data/open.h"

#include "grapes/base/error.h"
#include "grapes/base/table.h"
#include "grapes/base/text.h"
#include "grapes/data/augment.h"
#include "grapes/data/csv.h"
#include "grapes/data/folder.h"
#include "grapes/data/npy.h"
#include "grapes/data/pad.h"
#include "grapes/data/sampler.h"
#include "grapes/data/source.h"
#include "grapes/data/split.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace grapes::data {
namespace fs = std::filesystem;
namespace {

Place find_named(const Options& options, const Progress& progress) {
  const NamedSource& source = find_row(source_table(), "data set", options.data);
  if (std::optional<Place> place = locate(source, options.data_dir)) return *place;
  if (source.mirrors.empty() || !options.download) {
    std::vector<std::string> looked;
    for (const fs::path& folder : search_path(source, options.data_dir)) looked.push_back(folder.string());
    throw DataError(source.name + " is not in " + join(looked, ", ") + "; " +
                    (source.advice.empty() ? "'grapes data get " + source.name + "' fetches it" : source.advice));
  }
  return {&source, fetch(source.name, progress)};
}

Collection read_named(const Options& options, const Progress& progress) {
  const Place place = find_named(options, progress);
  Collection collection = read_source(*place.source, place.folder);
  if (place.source->name != options.data)
    collection.notes.push_back(place.source->name + " stands in for " + options.data + ": " + place.source->summary);
  return collection;
}

bool is_sequences(const std::string& data) {
  const std::vector<NamedSource>& table = source_table();
  return std::any_of(table.begin(), table.end(),
                     [&](const auto& row) { return row.name == data && row.sequences != nullptr; });
}

/// A source by its name, or one's own data by its path.
Collection read(const Options& options, const Progress& progress) {
  const std::vector<NamedSource>& table = source_table();
  const fs::path path = options.data;
  const bool named = std::any_of(table.begin(), table.end(), [&](const auto& row) { return row.name == options.data; });
  const bool csv = !named && path.extension() == ".csv";
  if (!options.label_column.empty() && !csv) {
    throw UsageError("--label-column " + options.label_column + ": only a CSV has columns, not " + options.data);
  }
  if (csv) return read_csv(path, options.label_column, options.targets);
  if (!named && path.extension() == ".npy") return read_npy(path, options.targets);
  if (options.targets == "numbers") throw UsageError("--targets numbers: " + options.data + " has classes");
  std::error_code error;
  if (!named && fs::is_directory(path, error)) return read_folder(path);
  if (!named && (path.has_parent_path() || fs::exists(path, error))) {
    throw DataError(options.data +
                    (fs::exists(path, error) ? ": not data of a known kind" : ": there is no such file") +
                    ", expected FILE.csv, x.npy, a folder of one folder of PNGs per class, or a named source");
  }
  return read_named(options, progress);
}

/// Which examples of the raw training part serve for what.
struct Rows {
  at::Tensor train, validation, test;  ///< test: undefined where the source has its own
};

Rows split_rows(const Collection& collection, const Options& options, std::uint64_t seed) {
  Rows rows;
  const at::Tensor& targets = collection.train.targets;
  at::Tensor pool = file_order(targets.size(0));
  if (!collection.test.inputs.defined()) {
    const std::int64_t count = part_of(targets.size(0), options.test, "--test");
    if (count == 0) {
      throw UsageError("--test " + shortest(options.test) + ": " + collection.name + " has " +
                       std::to_string(targets.size(0)) + " examples, of which none would be left to test on");
    }
    Parts parts = draw(targets, count, seed, "test");
    rows.test = std::move(parts.taken);
    pool = std::move(parts.rest);
  }

  const std::int64_t n = pool.size(0);
  const std::int64_t wanted = options.train_limit == 0 ? n : std::min(options.train_limit, n);
  const std::int64_t count = part_of(options.validation < 1 ? wanted : n, options.validation, "--validation");
  const Parts parts = draw(targets.index_select(0, pool), count, seed, "validation");
  rows.validation = pool.index_select(0, parts.taken);
  rows.train = pool.index_select(0, parts.rest);
  if (wanted < rows.train.size(0)) {
    rows.train =
        options.order == "file"
            ? rows.train.narrow(0, 0, wanted)
            : rows.train.index_select(0, draw(targets.index_select(0, rows.train), wanted, seed, "train-limit").taken);
  }
  return rows;
}

void check(const Options& options) {
  if (options.order != "shuffle" && options.order != "file") {
    throw UsageError("--order " + options.order + ": expected shuffle or file");
  }
  if (options.targets != "auto" && options.targets != "classes" && options.targets != "numbers") {
    throw UsageError("--targets " + options.targets + ": expected auto, classes or numbers");
  }
  if (options.pad < 0) throw UsageError("--pad must be 0 (as they are) or more");
  if (options.train_limit < 0) throw UsageError("--train-limit must be 0 (all) or more");
  if (options.test_limit < 0) throw UsageError("--test-limit must be 0 (all) or more");
}

/// Both parts of it, from now on larger pictures.
void pad(Collection& collection, std::int64_t side) {
  for (at::Tensor* inputs : {&collection.train.inputs, &collection.test.inputs})
    if (inputs->defined()) *inputs = padded(*inputs, side, collection.name);
  collection.info.input_shape = collection.train.inputs.sizes().slice(1).vec();
}

/// Some of them, drawn by seed, stratified where they have classes.
Parts draw_from(const Sequences& examples, std::int64_t count, std::uint64_t seed, std::string_view name) {
  const auto n = static_cast<std::int64_t>(examples.inputs.size());
  return draw(examples.classes.defined() ? examples.classes : at::zeros({n, 1}), count, seed, name);
}

Splits open_sequences(const Options& options, std::uint64_t seed, const Progress& progress) {
  if (!options.augment.empty())
    throw UsageError("--augment " + options.augment + ": " + options.data + " has sequences");
  if (options.pad > 0)
    throw UsageError("--pad " + std::to_string(options.pad) + ": " + options.data + " has sequences");
  if (options.normalize != "unit")
    throw UsageError("--normalize " + options.normalize + ": the sequences of " + options.data +
                     " stay as they are: unit");
  const Place place = find_named(options, progress);
  SequenceCollection collection = read_sequences(*place.source, place.folder, options.events);
  Sequences &train = collection.train, &test = collection.test;
  if (collection.validation) {
    collection.notes.push_back("the split is its own: --validation is not used");
  } else {
    const auto n = static_cast<std::int64_t>(train.inputs.size());
    const Parts parts = draw_from(train, part_of(n, options.validation, "--validation"), seed, "validation");
    collection.validation = select(train, parts.taken);
    train = select(train, parts.rest);
  }
  const auto exceeds = [](std::int64_t limit, const Sequences& part) {
    return limit > 0 && limit < static_cast<std::int64_t>(part.inputs.size());
  };
  if (exceeds(options.train_limit, train))
    train = select(train, options.order == "file" ? file_order(options.train_limit)
                                                  : draw_from(train, options.train_limit, seed, "train-limit").taken);
  if (exceeds(options.test_limit, test)) test = select(test, file_order(options.test_limit));
  Splits splits;
  splits.train = sequences(std::move(train), collection.info);
  splits.validation = sequences(std::move(*collection.validation), collection.info);
  splits.test = sequences(std::move(test), collection.info);
  splits.train_plain = splits.train;
  splits.info = std::move(collection.info);
  splits.name = options.data;
  splits.shuffle = options.order == "shuffle";
  splits.fingerprint = std::move(collection.fingerprint);
  splits.notes = std::move(collection.notes);
  return splits;
}

}  // namespace

Splits open(const Options& options, std::uint64_t split_seed, const Progress& progress) {
  check(options);
  if (is_sequences(options.data)) return open_sequences(options, split_seed, progress);
  const Augmentation augmentation = parse_augmentation(options.augment);
  const NormalizationKind& kind = find_row(normalizations(), "normalization", options.normalize);
  Collection collection = read(options, progress);
  if (collection.info.input_shape.size() != 3) {
    const std::string problem = ": the examples of " + collection.name + " are not images";
    if (!augmentation.none()) throw UsageError("--augment " + options.augment + problem);
    if (options.pad > 0) throw UsageError("--pad " + std::to_string(options.pad) + problem);
  }
  if (options.pad > 0) pad(collection, options.pad);
  const Rows rows = split_rows(collection, options, split_seed);

  const bool bytes = collection.train.inputs.scalar_type() == at::kByte;
  const auto load = [&](const Examples& examples) {
    return memory(examples.inputs, examples.targets, collection.info, collection.scale);
  };
  const DatasetPtr pool = load(collection.train);
  DatasetPtr test = rows.test.defined() ? subset(pool, rows.test) : load(collection.test);
  if (options.test_limit > 0 && options.test_limit < test->size()) {
    test = subset(test, file_order(options.test_limit));
  }
  const DatasetPtr train = subset(pool, rows.train);

  Splits splits;
  splits.normalization = kind.fit(*train, bytes);
  splits.train_plain = normalized(train, splits.normalization);
  // Augmented before it is normalized: what comes in from outside an image is then its background, 0.
  splits.train = augmentation.none()
                     ? splits.train_plain
                     : normalized(augmented(train, augmentation, splits.normalization.shift), splits.normalization);
  splits.validation = normalized(subset(pool, rows.validation), splits.normalization);
  splits.test = normalized(test, splits.normalization);
  splits.info = std::move(collection.info);
  splits.name = std::move(collection.name);
  splits.shuffle = options.order == "shuffle";
  splits.train_rows = rows.train;
  splits.validation_rows = rows.validation;
  splits.fingerprint = std::move(collection.fingerprint);
  splits.notes = std::move(collection.notes);
  return splits;
}

const std::vector<Source>& sources() {
  static const std::vector<Source> list = [] {
    std::vector<Source> rows;
    for (const NamedSource& source : source_table()) {
      rows.push_back({source.name, source.summary, {}});
      for (const SourceFile& file : source.files) rows.back().files.push_back(file.name);
    }
    return rows;
  }();
  return list;
}

}  // namespace grapes::data
