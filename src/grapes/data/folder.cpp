#include "grapes/data/folder.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/parallel.h"
#include "grapes/base/text.h"
#include "grapes/data/pictures.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>

namespace grapes::data {
namespace fs = std::filesystem;
namespace {

/// What is known about a file before it is decoded for use.
struct Look {
  image::Header header;
  std::string sha256;
  std::string damage = {};  ///< why it cannot be decoded, if damaged files are skipped
};

Look look_at(const fs::path& path, bool skip_damaged) {
  Look look;
  const std::string bytes = read_file(path);
  try {
    look.header = image::header(bytes, path.string());
    if (skip_damaged) image::decode(bytes, look.header.color, path.string());
  } catch (const DataError& error) {
    if (!skip_damaged) throw;
    look.damage = error.what();
  }
  look.sha256 = sha256(bytes);
  return look;
}

/// A part of a folder, with what is known about its files.
struct LookedAt {
  std::vector<PictureFile> files;
  std::vector<Look> looks;
};

/// @param damaged  the messages of damaged files are appended
LookedAt look_at_all(const std::vector<PictureFile>& files, bool skip_damaged, std::vector<std::string>& damaged) {
  std::vector<Look> looks(files.size());
  for_each_number(static_cast<std::int64_t>(files.size()), at::get_num_threads(), [&](std::int64_t i) {
    const auto place = static_cast<std::size_t>(i);
    looks[place] = look_at(files[place].path, skip_damaged);
  });
  LookedAt part;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (!looks[i].damage.empty()) {
      damaged.push_back(looks[i].damage);
      continue;
    }
    part.files.push_back(files[i]);
    part.looks.push_back(std::move(looks[i]));
  }
  return part;
}

/// The size of the examples. All pictures must have this size after scaling and cropping.
class CommonSize {
 public:
  explicit CommonSize(const PictureOptions& options) : options_(options) {}

  void add(const LookedAt& part) {
    for (std::size_t i = 0; i < part.files.size(); ++i) {
      const image::Header& header = part.looks[i].header;
      const PictureSize size = example_size({header.rows, header.columns}, options_);
      if (!common_.given()) {
        common_ = size;
        first_ = part.files[i].path;
      }
      if (size != common_)
        throw DataError(fmt::format(
            "{}: {} x {} pixels (rows x columns), expected {} x {} as in {}; --resize 64 gives all pictures 64 x 64",
            part.files[i].path.string(), size.rows, size.columns, common_.rows, common_.columns, first_.string()));
    }
  }
  const PictureSize& get() const { return common_; }

 private:
  const PictureOptions& options_;
  PictureSize common_;
  fs::path first_;
};

/// Bytes that the decoded pictures take in memory.
std::uint64_t held_bytes(const LookedAt& part, const PictureOptions& options, std::int64_t channels) {
  std::uint64_t bytes = 0;
  for (const Look& look : part.looks) {
    const PictureSize picture = {look.header.rows, look.header.columns};
    const PictureSize size = options.crop.kind == Crop::Kind::random ? scaled_size(picture, options)  // crops are drawn
                                                                     : example_size(picture, options);
    bytes += static_cast<std::uint64_t>(size.rows * size.columns * channels);
  }
  return bytes;
}

at::Tensor labels_of(const LookedAt& part) {
  std::vector<std::int64_t> labels;
  for (const PictureFile& file : part.files) labels.push_back(file.label);
  return at::tensor(labels, at::kLong);
}

std::vector<fs::path> paths_of(const LookedAt& part) {
  std::vector<fs::path> paths;
  for (const PictureFile& file : part.files) paths.push_back(file.path);
  return paths;
}

/// All examples of a part in one tensor.
DatasetPtr decoded(const LookedAt& part, const DatasetInfo& info, const PictureOptions& options) {
  const PictureFiles files(paths_of(part), info.input_shape[0] == 3, options, /*hold=*/false);
  const auto count = static_cast<std::int64_t>(part.files.size());
  const at::Tensor inputs =
      at::empty({count, info.input_shape[0], info.input_shape[1], info.input_shape[2]}, at::kByte);
  for_each_number(count, files.threads(), [&](std::int64_t i) {
    files.with(
        i, [&](const image::Raster& scaled) { inputs[i].copy_(to_tensor(cropped_picture(scaled, options, nullptr))); });
  });
  return memory(inputs, labels_of(part), info, 1.0F / 255);
}

std::string hash_lines(const std::string& name, const LookedAt& part, const std::vector<std::string>& classes) {
  std::string lines;
  for (std::size_t i = 0; i < part.files.size(); ++i)
    lines += name + classes[static_cast<std::size_t>(part.files[i].label)] + " " + part.looks[i].sha256 + "\n";
  return lines;
}

std::string skipped_note(const std::vector<std::string>& damaged) {
  return fmt::format("skipped {} damaged picture{}, the first one {}", damaged.size(), damaged.size() == 1 ? "" : "s",
                     damaged.front());
}

}  // namespace

Collection read_folder(const fs::path& path, const PictureOptions& options, std::uint64_t most_bytes) {
  return read_pictures(picture_layout(path), path.string(), options, most_bytes);
}

Collection read_tiny_imagenet(const SourceFiles& files) {
  PictureLayout layout = picture_layout(files.folder / "train");
  std::map<std::string, std::int64_t> labels;
  for (const std::string& name : layout.classes) labels.emplace(name, static_cast<std::int64_t>(labels.size()));
  const fs::path annotations = files.folder / "val" / "val_annotations.txt";
  std::int64_t line = 0;
  for (const std::string& text : split(read_file(annotations), '\n')) {
    ++line;
    if (trim(text).empty()) continue;
    const std::vector<std::string> cells = split(text, '\t');  // file, class, and a box
    const auto label = cells.size() < 2 ? labels.end() : labels.find(std::string(trim(cells[1])));
    if (label == labels.end())
      throw DataError(fmt::format("{}:{}: '{}', expected a file and a class of the training pictures",
                                  annotations.string(), line, trim(text)));
    layout.test.push_back({files.folder / "val" / "images" / cells[0], label->second});
  }
  layout.notes.clear();  // about the files of boxes, which are ignored
  layout.notes.emplace_back("the test examples are those of val, because the classes of test are not published");
  return read_pictures(std::move(layout), "tiny-imagenet", files.pictures);
}

Collection read_pictures(PictureLayout layout, const std::string& name, const PictureOptions& options,
                         std::uint64_t most_bytes) {
  check(options);
  std::vector<std::string> damaged;
  const auto look = [&](const std::vector<PictureFile>& files) {
    return look_at_all(files, options.skip_damaged, damaged);
  };
  const LookedAt train = look(layout.train), validation = look(layout.validation), test = look(layout.test);
  if (train.files.empty()) throw DataError(name + ": no picture is left for training; " + damaged.front());

  CommonSize size(options);
  bool color = false;
  for (const LookedAt* part : {&train, &validation, &test}) {
    size.add(*part);
    for (const Look& one : part->looks) color = color || (one.header.color && !options.gray);
  }
  const std::vector<std::int64_t> shape = {color ? 3 : 1, size.get().rows, size.get().columns};
  const DatasetInfo info = {ProblemKind::classification, shape, static_cast<std::int64_t>(layout.classes.size()),
                            layout.classes};
  std::uint64_t bytes = 0;
  for (const LookedAt* part : {&train, &validation, &test}) bytes += held_bytes(*part, options, shape[0]);

  Collection collection;
  const bool hold = bytes <= most_bytes;
  if (!hold)
    collection.notes.push_back(
        fmt::format("the decoded pictures would take {:.1f} GB of memory, so each is decoded "
                    "whenever it is used",
                    static_cast<double>(bytes) / 1e9));
  const auto centered = [&](const LookedAt& part) -> DatasetPtr {
    if (part.files.empty()) return nullptr;
    if (hold) return decoded(part, info, options);
    return pictures(std::make_shared<PictureFiles>(paths_of(part), color, options, false), labels_of(part), info,
                    false);
  };
  if (options.crop.kind == Crop::Kind::random) {
    const auto files = std::make_shared<PictureFiles>(paths_of(train), color, options, hold);
    collection.train = pictures(files, labels_of(train), info, false);
    collection.train_drawn = pictures(files, labels_of(train), info, true);
  } else {
    collection.train = centered(train);
  }
  collection.validation = centered(validation);
  collection.test = centered(test);
  collection.bytes = true;
  collection.name = name;
  collection.fingerprint =
      sha256(hash_lines("", train, layout.classes) + hash_lines("val/", validation, layout.classes) +
             hash_lines("test/", test, layout.classes));
  collection.notes.insert(collection.notes.end(), layout.notes.begin(), layout.notes.end());
  if (!damaged.empty()) collection.notes.push_back(skipped_note(damaged));
  return collection;
}

}  // namespace grapes::data
