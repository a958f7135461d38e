#include "grapes/data/layout.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/data/folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <system_error>

namespace grapes::data {
namespace fs = std::filesystem;
namespace {

/// Appends the pictures in a folder and the folders in it. Counts other files.
void list_pictures(const fs::path& folder, std::int64_t label, std::vector<PictureFile>& files, std::int64_t& others) {
  for (const fs::path& entry : sorted_entries(folder)) {
    if (fs::is_directory(entry))
      list_pictures(entry, label, files, others);
    else if (image::has_image_name(entry))
      files.push_back({entry, label});
    else
      ++others;
  }
}

std::vector<fs::path> folders_in(const fs::path& path) {
  std::vector<fs::path> folders = sorted_entries(path);
  std::erase_if(folders, [](const fs::path& entry) { return !fs::is_directory(entry); });
  return folders;
}

/// The first folder in `path` that has one of these names, in any case.
std::optional<fs::path> folder_named(const fs::path& path, const std::vector<std::string>& names) {
  for (const fs::path& folder : folders_in(path)) {
    std::string name = folder.filename().string();
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (std::find(names.begin(), names.end(), name) != names.end()) return folder;
  }
  return std::nullopt;
}

class Lister {
 public:
  explicit Lister(fs::path path) : path_(std::move(path)) {}

  PictureLayout list() {
    const auto train = folder_named(path_, {"train", "training"});
    const auto validation = folder_named(path_, {"val", "valid", "validation"});
    const auto test = folder_named(path_, {"test", "testing"});
    const bool parts = train && (validation || test) && !folders_in(*train).empty();  // "train" can be a class
    layout_.train = training(parts ? *train : path_);
    if (parts && validation) layout_.validation = part(*validation);
    if (parts && test) layout_.test = part(*test);
    if (parts && layout_.test.empty() && !layout_.validation.empty()) {
      layout_.test = std::move(layout_.validation);
      layout_.validation.clear();
      layout_.notes.push_back(fmt::format("there is no test set, so {} is the test set", name(*validation)));
    }
    if (others_ > 0) layout_.notes.push_back(fmt::format("ignored {} files that are not pictures", others_));
    return std::move(layout_);
  }

 private:
  static std::string name(const fs::path& folder) { return folder.filename().string(); }

  /// The pictures that say which classes there are.
  std::vector<PictureFile> training(const fs::path& path) {
    std::vector<PictureFile> files;
    for (const fs::path& folder : folders_in(path)) {
      const std::size_t before = files.size();
      list_pictures(folder, static_cast<std::int64_t>(layout_.classes.size()), files, others_);
      if (files.size() == before)
        throw DataError(fmt::format("{}: expected pictures in this folder of a class ({}); got none", folder.string(),
                                    image::format_names()));
      layout_.classes.push_back(name(folder));
    }
    count_loose(path);
    if (layout_.classes.size() < 2)
      throw DataError(fmt::format("{}: {} folders, expected one folder of pictures per class, at least two",
                                  path.string(), layout_.classes.size()));
    return files;
  }

  /// The pictures of another part, with the classes of the training part.
  std::vector<PictureFile> part(const fs::path& path) {
    std::vector<PictureFile> files;
    for (const fs::path& folder : folders_in(path)) {
      const auto found = std::find(layout_.classes.begin(), layout_.classes.end(), name(folder));
      if (found == layout_.classes.end())
        throw DataError(fmt::format("{}: no class of the training pictures has this name, expected {}", folder.string(),
                                    join(layout_.classes, ", ")));
      list_pictures(folder, found - layout_.classes.begin(), files, others_);
    }
    if (files.empty())
      layout_.notes.push_back(fmt::format("{} has no folders of classes, so its pictures are not used", name(path)));
    else
      count_loose(path);
    return files;
  }

  /// Counts the files beside the folders of classes.
  void count_loose(const fs::path& path) {
    for (const fs::path& entry : sorted_entries(path)) others_ += fs::is_directory(entry) ? 0 : 1;
  }

  const fs::path path_;
  PictureLayout layout_;
  std::int64_t others_ = 0;
};

}  // namespace

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    // __MACOSX: what archives of macOS contain beside the files
    const std::string name = entry.path().filename().string();
    if (!name.starts_with('.') && name != "__MACOSX") entries.push_back(entry.path());
  }
  if (error) throw DataError("cannot read the folder " + folder.string() + ": " + error.message());
  std::sort(entries.begin(), entries.end());
  return entries;
}

PictureLayout picture_layout(const fs::path& path) { return Lister(path).list(); }

}  // namespace grapes::data
