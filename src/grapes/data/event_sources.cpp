#include "grapes/data/event_sources.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/memory.h"
#include "grapes/base/text.h"
#include "grapes/data/events.h"
#include "grapes/data/folder.h"

#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace grapes::data {
namespace fs = std::filesystem;
namespace {

using Decode = std::vector<Event> (*)(std::string_view bytes, const std::string& file);

/// @throws DataError for an event outside the sensor
void check_events(const std::vector<Event>& events, const Sensor& sensor, const std::string& file) {
  for (const Event& event : events)
    if (event.column >= sensor.columns || event.row >= sensor.rows)
      throw DataError(fmt::format("{}: an event at column {}, row {}, outside the sensor's {} x {}", file, event.column,
                                  event.row, sensor.rows, sensor.columns));
}

/// The recordings in a folder per class, one per file. All are decoded once to find damage.
/// @param hashes  those of the files are appended
DatasetPtr class_folders(const fs::path& folder, const SourceFiles& files, const Sensor& sensor, Decode decode,
                         std::string& hashes) {
  const auto all = std::make_shared<RecordingFiles>();
  std::vector<std::int64_t> targets;
  for (std::size_t c = 0; c < files.classes.size(); ++c)
    for (const fs::path& path : sorted_entries(folder / files.classes[c])) {
      const std::string bytes = read_file(path);
      check_events(decode(bytes, path.string()), sensor, path.string());
      hashes += sha256(bytes);
      all->add(path);
      targets.push_back(static_cast<std::int64_t>(c));
    }
  if (targets.empty()) throw DataError(folder.string() + ": no recordings");
  all->hold(available_memory() / 4);
  const auto read = [all, decode](std::int64_t number) {
    return decode(all->bytes(number), all->path(number).string());
  };
  return recordings(read, at::tensor(targets, at::kLong), sensor, files.classes, files.events);
}

Collection with_fingerprint(Collection collection, const std::string& hashes, const EventOptions& options) {
  const std::string note = frames_note(options);
  collection.fingerprint = sha256(hashes + " " + note);
  collection.notes.push_back(note);
  return collection;
}

/// A gesture in a file of several.
struct Trial {
  std::int64_t label, begin, end;
};

std::vector<Trial> trials_in(const fs::path& path, std::int64_t classes) {
  std::vector<Trial> trials;
  std::int64_t line = 0;
  for (const std::string& text : split(read_file(path), '\n')) {
    ++line;
    if (line == 1 || trim(text).empty()) continue;  // the names of the columns
    const std::vector<std::string> cells = split(trim(text), ',');
    std::vector<std::int64_t> numbers;
    for (const std::string& cell : cells)
      if (const auto number = to_integer(trim(cell))) numbers.push_back(*number);
    if (numbers.size() != 3 || cells.size() != 3 || numbers[0] < 1 || numbers[0] > classes || numbers[1] >= numbers[2])
      throw DataError(fmt::format("{}:{}: '{}', expected class (1 ... {}), beginning and end in microseconds",
                                  path.string(), line, trim(text), classes));
    trials.push_back({numbers[0] - 1, numbers[1], numbers[2]});
  }
  return trials;
}

DatasetPtr gestures(const fs::path& folder, const std::string& list, const SourceFiles& files, std::string& hashes) {
  constexpr Sensor sensor = {128, 128, 2};
  const auto parts = std::make_shared<RecordingFiles>();
  auto trials = std::make_shared<std::vector<Trial>>();
  std::vector<std::int64_t> targets;
  for (const std::string& text : split(read_file(folder / list), '\n')) {
    const std::string name(trim(text));
    if (name.empty()) continue;
    const fs::path path = folder / name, labels = folder / (fs::path(name).stem().string() + "_labels.csv");
    const std::string bytes = read_file(path);
    const std::vector<Packet> packets = aedat3_packets(bytes, path.string());
    hashes += sha256(bytes);
    for (const Trial& trial : trials_in(labels, static_cast<std::int64_t>(files.classes.size()))) {
      std::uint64_t begin = 0, end = 0;
      for (const Packet& packet : packets) {
        if (packet.last < trial.begin || packet.first >= trial.end) continue;
        if (end == 0) begin = packet.begin;
        end = packet.end;
      }
      if (end == 0)
        throw DataError(fmt::format("{}: no events from {} to {} microseconds, where {} has a gesture", path.string(),
                                    trial.begin, trial.end, labels.string()));
      check_events(aedat3_events(std::string_view(bytes).substr(begin, end - begin), trial.begin, trial.end), sensor,
                   path.string());
      parts->add(path, begin, end);
      trials->push_back(trial);
      targets.push_back(trial.label);
    }
  }
  if (targets.empty()) throw DataError((folder / list).string() + ": no recordings");
  parts->hold(available_memory() / 4);
  const auto read = [parts, trials](std::int64_t number) {
    const Trial& trial = (*trials)[static_cast<std::size_t>(number)];
    return aedat3_events(parts->bytes(number), trial.begin, trial.end);
  };
  return recordings(read, at::tensor(targets, at::kLong), sensor, files.classes, files.events);
}

}  // namespace

Collection read_nmnist(const SourceFiles& files) {
  constexpr Sensor sensor = {34, 34, 2};
  std::string hashes;
  Collection all;
  all.train = class_folders(files.folder / "Train", files, sensor, nmnist_events, hashes);
  all.test = class_folders(files.folder / "Test", files, sensor, nmnist_events, hashes);
  return with_fingerprint(std::move(all), hashes, files.events);
}

Collection read_cifar10_dvs(const SourceFiles& files) {
  std::string hashes;
  Collection all;
  all.train = class_folders(files.folder, files, {128, 128, 2}, aedat2_events, hashes);
  return with_fingerprint(std::move(all), hashes, files.events);
}

Collection read_dvs_gesture(const SourceFiles& files) {
  const fs::path folder = files.folder / "DvsGesture";
  std::string hashes;
  Collection all;
  all.train = gestures(folder, "trials_to_train.txt", files, hashes);
  all.test = gestures(folder, "trials_to_test.txt", files, hashes);
  return with_fingerprint(std::move(all), hashes, files.events);
}

}  // namespace grapes::data
