#include "grapes/data/arrays.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/mapped_file.h"
#include "grapes/base/text.h"
#include "grapes/data/idx.h"
#include "grapes/data/mat.h"
#include "grapes/data/npy.h"
#include "grapes/data/unpack.h"
#include "grapes/data/zip.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace grapes::data {
namespace fs = std::filesystem;
namespace {

enum class Role { inputs, targets };
enum class DataPart { whole, train, validation, test };

/// What an array is by its name: "x_train" are the inputs of the training part.
struct ArrayName {
  std::optional<Role> role = {};
  DataPart part = DataPart::whole;
};

std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words = {""};
  for (const char c : name) {
    if (c == '_' || c == '-' || c == '.' || c == ' ')
      words.emplace_back();
    else
      words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return words;
}

const std::map<std::string, Role>& role_words() {
  static const std::map<std::string, Role> words = [] {
    std::map<std::string, Role> all;
    for (const char* word : {"x", "images", "image", "data", "features", "fea", "inputs", "samples", "arr_0"})
      all[word] = Role::inputs;
    for (const char* word : {"y", "labels", "label", "target", "targets", "classes", "gnd", "arr_1"})
      all[word] = Role::targets;
    return all;
  }();
  return words;
}

const std::map<std::string, DataPart>& part_words() {
  static const std::map<std::string, DataPart> words = {
      {"train", DataPart::train},      {"training", DataPart::train},        {"val", DataPart::validation},
      {"valid", DataPart::validation}, {"validation", DataPart::validation}, {"dev", DataPart::validation},
      {"test", DataPart::test},        {"testing", DataPart::test}};
  return words;
}

ArrayName read_name(const std::string& name) {
  ArrayName read;
  if (name.ends_with("_names")) return read;  // of features or classes, as scikit-learn has them
  if (const auto role = role_words().find(name); role != role_words().end()) return {role->second};
  for (std::string word : words_of(name)) {
    if (const auto part = part_words().find(word); part != part_words().end()) {
      read.part = part->second;
      continue;
    }
    for (const auto& [ending, part] : part_words())  // "xtrain", "testlabels"
      if (word.size() > ending.size() && (word.ends_with(ending) || word.starts_with(ending))) {
        word = word.ends_with(ending) ? word.substr(0, word.size() - ending.size()) : word.substr(ending.size());
        read.part = part;
        break;
      }
    if (const auto role = role_words().find(word); role != role_words().end()) read.role = role->second;
  }
  return read;
}

/// Whether a file is IDX by its name, as that of MNIST's files: "train-images-idx3-ubyte", "images.idx", also with .gz
/// or .xz.
bool is_idx(const fs::path& path) {
  const std::vector<std::string> words = words_of(path.filename().string());
  return std::any_of(words.begin(), words.end(), [](const std::string& word) {
    return word == "idx" || (word.size() == 4 && word.starts_with("idx") && word[3] >= '1' && word[3] <= '9');
  });
}

/// An array and the file, or the entry of an archive, that it came from.
struct NamedArray {
  std::string file;
  StoredArray array;
};

/// Examples of a mapped file that is too large for memory. All examples of a batch are announced before the first one
/// is read, so that the system reads them at the same time and not one after the other.
class ReadAhead final : public Decorator {
 public:
  ReadAhead(DatasetPtr source, at::Tensor inputs) : Decorator(std::move(source)), inputs_(std::move(inputs)) {
    expect_random_reads({static_cast<const char*>(inputs_.data_ptr()), inputs_.nbytes()});
  }

  Batch get(const at::Tensor& rows, std::uint64_t seed) const override {
    const at::Tensor numbers = rows.contiguous();
    const std::size_t width = inputs_.nbytes() / static_cast<std::size_t>(inputs_.size(0));
    const auto* begin = static_cast<const char*>(inputs_.data_ptr());
    for (std::int64_t i = 0; i < numbers.size(0); ++i)
      read_ahead({begin + static_cast<std::size_t>(numbers.data_ptr<std::int64_t>()[i]) * width, width});
    return source_->get(rows, seed);
  }

 private:
  const at::Tensor inputs_;
};

/// The arrays of a data set.
struct Arrays {
  std::map<std::pair<DataPart, Role>, NamedArray> all;
  std::string fingerprint;

  const NamedArray* find(DataPart part, Role role) const {
    const auto found = all.find({part, role});
    return found == all.end() ? nullptr : &found->second;
  }
  void add(DataPart part, Role role, const fs::path& path) {
    const UnpackedFile file = open_unpacked(path);
    fingerprint = sha256(fingerprint + sha256(file.bytes));
    all[{part, role}] = {file.path,
                         (path.extension() == ".npy" ? npy_array : idx_array)(file.bytes, file.path, file.owner)};
  }
};

/// Returns a file beside `path` in whose name one word is replaced; nothing if there is none.
std::optional<fs::path> beside(const fs::path& path, const std::vector<std::pair<std::string, std::string>>& words) {
  const std::string name = path.filename().string();
  std::error_code error;
  const auto there = [&](const std::string& other) -> std::optional<fs::path> {
    if (fs::exists(path.parent_path() / other, error)) return path.parent_path() / other;
    const std::size_t idx = other.find("idx");  // "idx3" for images, "idx1" for labels
    if (idx == std::string::npos || idx + 3 >= other.size()) return std::nullopt;
    const std::string labels = other.substr(0, idx + 3) + "1" + other.substr(idx + 4);
    return fs::exists(path.parent_path() / labels, error) ? std::optional(path.parent_path() / labels) : std::nullopt;
  };
  for (const auto& [from, to] : words)
    for (std::size_t at = name.find(from); at != std::string::npos; at = name.find(from, at + 1)) {
      const auto letter = [&](std::size_t i) {
        return i < name.size() && std::isalpha(static_cast<unsigned char>(name[i]));
      };
      if (at > 0 && (letter(at - 1) || letter(at + from.size()))) continue;  // a word, or how the name begins
      if (auto other = there(name.substr(0, at) + to + name.substr(at + from.size()))) return other;
    }
  return std::nullopt;
}

Arrays files_of(const fs::path& path, bool targets) {
  Arrays arrays;
  arrays.add(DataPart::whole, Role::inputs, path);
  if (!targets) return arrays;
  const std::vector<std::pair<std::string, std::string>> target_words = {{"x", "y"},
                                                                         {"X", "y"},
                                                                         {"X", "Y"},
                                                                         {"images", "labels"},
                                                                         {"data", "labels"},
                                                                         {"data", "target"},
                                                                         {"data", "targets"},
                                                                         {"features", "labels"},
                                                                         {"features", "targets"},
                                                                         {"inputs", "targets"},
                                                                         {"inputs", "labels"}};
  const auto y = beside(path, target_words);
  if (!y)
    throw DataError(path.string() +
                    ": there is no file of targets beside it; expected a file with y in place of x in its name "
                    "(y_train.npy for x_train.npy), or with labels in place of images or data");
  arrays.add(DataPart::whole, Role::targets, *y);
  for (const auto& [part, word] :
       {std::pair(DataPart::validation, "val"), {DataPart::test, "test"}, {DataPart::test, "t10k"}})
    if (const auto inputs = beside(path, {{"train", word}}))
      if (const auto answers = beside(*inputs, target_words)) {
        arrays.add(part, Role::inputs, *inputs);
        arrays.add(part, Role::targets, *answers);
      }
  return arrays;
}

/// Takes the arrays of one file by their names.
class OneFile {
 public:
  explicit OneFile(const fs::path& path) : file_(path.string()), mapped_(MappedFile::open(path)) {
    arrays.fingerprint = sha256(mapped_->bytes());
    if (path.extension() == ".mat") {
      for (auto& [name, array] : mat_arrays(path))
        add(name, [&array = array](const std::string&) { return std::move(array); });
    } else {
      for (const auto& [name, entry] : zip_entries(mapped_->bytes(), file_)) {
        const bool npy = name.ends_with(".npy");
        add(npy ? name.substr(0, name.size() - 4) : name, [&, &name = name, &entry = entry](const std::string& place) {
          if (!entry.deflated) return npy_array(entry.stored, place, mapped_);
          const auto content = std::make_shared<const std::string>(unzip(entry, file_, name));
          return npy_array(*content, place, content);
        });
      }
    }
    if (!arrays.find(DataPart::whole, Role::inputs) && !arrays.find(DataPart::train, Role::inputs))
      throw DataError(
          fmt::format("{}: its arrays are {}; expected x_train, y_train and perhaps x_test, y_test, or X, y, "
                      "or names that contain data, images or features, and labels or targets",
                      file_, fmt::join(names_, ", ")));
  }

  Arrays arrays;

 private:
  template <class Read>
  void add(const std::string& name, const Read& read) {
    names_.push_back(name);
    const ArrayName is = read_name(name);
    if (!is.role) return;
    const std::string place = file_ + ", " + name;
    if (const auto* other = arrays.find(is.part, *is.role))
      throw DataError(place + ": is of the same part and role as " + other->file + "; leave one out");
    arrays.all[{is.part, *is.role}] = {place, read(place)};
  }

  const std::string file_;
  const std::shared_ptr<const MappedFile> mapped_;
  std::vector<std::string> names_;
};

/// Moves examples along the last dimension to the first, as NumPy has them, and makes a row of targets a column.
void turn(Arrays& arrays) {
  for (auto& [key, named] : arrays.all) {
    at::Tensor& y = named.array.values;
    if (key.second != Role::targets) continue;
    if (y.defined() && y.dim() == 2 && y.size(0) == 1 && y.size(1) > 1) y = y.t().contiguous();
    const std::int64_t count = y.defined() ? y.size(0) : static_cast<std::int64_t>(named.array.texts.size());
    const auto inputs = arrays.all.find({key.first, Role::inputs});
    if (inputs == arrays.all.end() || !inputs->second.array.values.defined()) continue;
    at::Tensor& x = inputs->second.array.values;
    if (x.dim() > 1 && x.size(0) != count && x.size(-1) == count) x = x.movedim(-1, 0).contiguous();
  }
}

Arrays arrays_of(const fs::path& path, bool targets) {
  if (path.extension() != ".npz" && path.extension() != ".mat") return files_of(path, targets);
  Arrays arrays = OneFile(path).arrays;
  if (path.extension() == ".mat") turn(arrays);
  return arrays;
}

std::string sizes_text(at::IntArrayRef shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

/// Whether an array has the shape of color or gray images with their channels last.
bool channels_last(const at::Tensor& array) {
  return array.dim() == 4 && (array.size(3) == 1 || array.size(3) == 3 || array.size(3) == 4) && array.size(1) > 4 &&
         array.size(2) > 4;
}

/// Returns inputs in the form that is stored: numbers of any type that are finite as float32; images with channels
/// first.
at::Tensor as_inputs(const NamedArray& source) {
  at::Tensor array = source.array.values;
  if (!array.defined()) throw DataError(source.file + ": strings, expected numbers as inputs");
  if (array.dim() == 0 || array.numel() == 0)
    throw DataError(source.file + ": an array of shape " + sizes_text(array.sizes()) +
                    ", expected at least one example");
  if (at::isFloatingType(array.scalar_type())) {
    constexpr std::int64_t piece = 1 << 20;  // an array may be larger than memory
    const at::Tensor flat = array.reshape({-1});
    for (std::int64_t begin = 0; begin < flat.size(0); begin += piece) {
      const at::Tensor some = flat.narrow(0, begin, std::min(piece, flat.size(0) - begin)).to(at::kFloat);
      const at::Tensor wrong = at::isfinite(some).logical_not().nonzero();
      if (wrong.numel() > 0)
        throw DataError(fmt::format("{}: element {} (of {}, from 0) is not a finite number in float32", source.file,
                                    begin + wrong[0].item<std::int64_t>(), flat.size(0)));
    }
  }
  if (channels_last(array)) array = array.permute({0, 3, 1, 2}).contiguous();
  return array.dim() == 1 || array.dim() == 3 ? array.unsqueeze(1) : array;
}

/// Whether each row of [n, k] has one 1 and otherwise 0.
bool is_one_hot(const at::Tensor& values) {
  return values.dim() == 2 && values.size(1) > 1 && values.eq(0).logical_or(values.eq(1)).all().item<bool>() &&
         values.sum(1).eq(1).all().item<bool>();
}

/// Targets of all parts, read as one so that they have the same classes.
Targets read_targets(const std::vector<const NamedArray*>& sources, TargetReading asked) {
  const std::string& file = sources[0]->file;
  if (!sources[0]->array.values.defined()) {
    std::vector<std::string> texts;
    for (const NamedArray* source : sources)
      texts.insert(texts.end(), source->array.texts.begin(), source->array.texts.end());
    return text_targets(texts, asked, file);
  }
  std::vector<at::Tensor> parts;
  for (const NamedArray* source : sources) {
    at::Tensor values = source->array.values;
    if (!values.defined() || values.dim() == 0)
      throw DataError(source->file + ": expected numbers as targets, [n] or [n, outputs]");
    values = values.to(at::kDouble);
    if (!at::isfinite(values).all().item<bool>()) throw DataError(source->file + ": a target is not a finite number");
    parts.push_back(values.dim() == 1 ? values.unsqueeze(1) : values);
    if (parts.back().sizes().slice(1) != parts[0].sizes().slice(1) || parts.back().dim() != 2 ||
        parts.back().size(1) == 0)
      throw DataError(fmt::format("{}: targets of shape {}, expected [n] or [n, outputs]{}", source->file,
                                  sizes_text(values.sizes()), parts.size() > 1 ? " as in " + file : ""));
  }
  const at::Tensor values = parts.size() == 1 ? parts[0] : at::cat(parts);
  std::vector<std::string> names;
  if (asked != TargetReading::numbers && is_one_hot(values)) {
    for (std::int64_t i = 0; i < values.size(1); ++i) names.push_back(std::to_string(i));
    return {ProblemKind::classification, values.argmax(1), names,
            fmt::format("the targets are one-hot: read as {} classes; set targets to numbers for regression",
                        names.size())};
  }
  for (std::int64_t i = 0; i < values.size(1); ++i)
    names.push_back(values.size(1) == 1 ? "y" : fmt::format("y{}", i + 1));
  return number_targets(values, names, asked, file);
}

}  // namespace

bool is_arrays(const fs::path& path) {
  return path.extension() == ".npy" || path.extension() == ".npz" || path.extension() == ".mat" || is_idx(path);
}

Collection read_arrays(const fs::path& path, TargetReading asked, std::uint64_t memory_for_inputs) {
  const Arrays arrays = arrays_of(path, true);
  const DataPart first = arrays.find(DataPart::train, Role::inputs) ? DataPart::train : DataPart::whole;
  Collection collection;
  collection.name = path.string();
  collection.fingerprint = arrays.fingerprint;

  std::vector<DataPart> parts;
  std::vector<at::Tensor> inputs;
  std::vector<const NamedArray*> answers;
  for (const DataPart part : {first, DataPart::validation, DataPart::test}) {
    const NamedArray *const x = arrays.find(part, Role::inputs), *const y = arrays.find(part, Role::targets);
    if (!x && !y) continue;
    if (!x || !y)
      throw DataError(fmt::format("{}: {} has no {}", path.string(), (x ? x : y)->file, x ? "targets" : "inputs"));
    inputs.push_back(as_inputs(*x));
    const std::int64_t count = y->array.values.defined() && y->array.values.dim() > 0
                                   ? y->array.values.size(0)
                                   : static_cast<std::int64_t>(y->array.texts.size());
    if (count != inputs.back().size(0))
      throw DataError(fmt::format("{}: {} targets, expected {}, one per example of {}", y->file, count,
                                  inputs.back().size(0), x->file));
    if (inputs.back().sizes().slice(1) != inputs[0].sizes().slice(1))
      throw DataError(fmt::format("{}: examples of shape {}, expected {} as in the training part", x->file,
                                  sizes_text(inputs.back().sizes().slice(1)), sizes_text(inputs[0].sizes().slice(1))));
    parts.push_back(part);
    answers.push_back(y);
  }
  if (const at::Tensor& given = arrays.find(first, Role::inputs)->array.values; channels_last(given))
    collection.notes.push_back(
        fmt::format("images of {} x {} with their {} channels last", given.size(1), given.size(2), given.size(3)));
  const Targets targets = read_targets(answers, asked);
  if (!targets.note.empty()) collection.notes.push_back(targets.note);
  const at::ScalarType type = inputs[0].scalar_type();
  collection.bytes = type == at::kByte || type == at::kBool;
  const DatasetInfo info{targets.problem, inputs[0].sizes().slice(1).vec(),
                         static_cast<std::int64_t>(targets.names.size()), targets.names};
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::int64_t count = inputs[i].size(0);
    DatasetPtr& into = parts[i] == DataPart::test         ? collection.test
                       : parts[i] == DataPart::validation ? collection.validation
                                                          : collection.train;
    into = memory(inputs[i], targets.values.narrow(0, begin, count), info,
                  inputs[i].scalar_type() == at::kByte ? 1.0F / 255 : 1);
    if (inputs[i].is_contiguous() && inputs[i].nbytes() > memory_for_inputs)
      into = std::make_shared<ReadAhead>(into, inputs[i]);
    begin += count;
  }
  return collection;
}

at::Tensor array_inputs(const fs::path& path) {
  const Arrays arrays = arrays_of(path, false);
  for (const DataPart part : {DataPart::whole, DataPart::test, DataPart::train})
    if (const NamedArray* source = arrays.find(part, Role::inputs)) return as_inputs(*source);
  throw DataError(path.string() + ": has no array of inputs");
}

}  // namespace grapes::data
