#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/hdf5.h"
#include "grapes/data/event_sources.h"
#include "grapes/data/events.h"

#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <utility>

namespace grapes::data {
namespace {

using hdf5::must;
using hdf5::Object;

constexpr std::int64_t cochlea_channels = 700;

Object dataset(hid_t file, const std::string& name) {
  return {H5Dopen2(file, name.c_str(), H5P_DEFAULT), H5Dclose, "the data set " + name};
}

hsize_t length(const Object& set, const std::string& name) {
  const Object space(H5Dget_space(set), H5Sclose, "the shape of " + name);
  hsize_t count = 0;
  must(H5Sget_simple_extent_ndims(space) == 1 && H5Sget_simple_extent_dims(space, &count, nullptr) == 1,
       "read " + name + ", expected one dimension");
  return count;
}

/// Reads one entry of a list of lists of numbers.
template <class Value>
std::vector<Value> entry(const Object& set, hsize_t number, hid_t kind, const std::string& name) {
  const Object type(H5Tvlen_create(kind), H5Tclose, "a type"),
      space(H5Dget_space(set), H5Sclose, "the shape of " + name);
  const hsize_t one = 1;
  const Object single(H5Screate_simple(1, &one, nullptr), H5Sclose, "a shape");
  must(H5Sselect_hyperslab(space, H5S_SELECT_SET, &number, nullptr, &one, nullptr) >= 0, "select in " + name);
  hvl_t list{};
  must(H5Dread(set, type, single, space, H5P_DEFAULT, &list) >= 0, fmt::format("read entry {} of {}", number, name));
  const auto* begin = static_cast<const Value*>(list.p);
  std::vector<Value> values(begin, begin + list.len);
  H5Dvlen_reclaim(type, single, H5P_DEFAULT, &list);
  return values;
}

/// A file of spikes, read by one thread at a time, as HDF5 requires.
class SpikeFile {
 public:
  explicit SpikeFile(const std::filesystem::path& path) : path_(path.string()) {
    guarded([&] {
      file_ = std::make_unique<Object>(H5Fopen(path_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose, "it as HDF5");
      times_ = std::make_unique<Object>(dataset(*file_, "spikes/times"));
      units_ = std::make_unique<Object>(dataset(*file_, "spikes/units"));
      const Object labels = dataset(*file_, "labels");
      const hsize_t count = length(labels, "labels");
      must(count > 0 && length(*times_, "spikes/times") == count && length(*units_, "spikes/units") == count,
           "use it: spikes/times, spikes/units and labels must have the same length, at least 1");
      labels_.resize(count);
      must(H5Dread(labels, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, labels_.data()) >= 0, "read labels");
      for (const std::int64_t label : labels_) must(label >= 0, "use a negative label");
    });
  }

  const std::vector<std::int64_t>& labels() const { return labels_; }

  /// The events, in order of time, with times in microseconds.
  std::vector<Event> events(std::int64_t number) const {
    std::vector<Event> events;
    guarded([&] {
      const auto which = static_cast<hsize_t>(number);
      const auto times = entry<double>(*times_, which, H5T_NATIVE_DOUBLE, "spikes/times");
      const auto units = entry<std::int64_t>(*units_, which, H5T_NATIVE_INT64, "spikes/units");
      must(times.size() == units.size(),
           fmt::format("use recording {}: {} times, but {} units", number, times.size(), units.size()));
      for (std::size_t i = 0; i < times.size(); ++i) {
        must(units[i] >= 0 && units[i] < cochlea_channels && times[i] >= 0,
             fmt::format("use recording {}: unit {} at {} s, expected units 0 ... {} and times from 0", number,
                         units[i], times[i], cochlea_channels - 1));
        events.push_back({std::llround(times[i] * 1e6), 0, static_cast<std::int32_t>(units[i]), 0});
      }
    });
    std::stable_sort(events.begin(), events.end(), [](const Event& a, const Event& b) { return a.time < b.time; });
    return events;
  }

  /// extra/keys, the words by their label; empty if there are none.
  std::vector<std::string> words() const {
    std::vector<std::string> words;
    guarded([&] {
      if (H5Lexists(*file_, "extra", H5P_DEFAULT) <= 0 || H5Lexists(*file_, "extra/keys", H5P_DEFAULT) <= 0) return;
      const Object set = dataset(*file_, "extra/keys"), type(H5Dget_type(set), H5Tclose, "the type of extra/keys");
      const hsize_t count = length(set, "extra/keys");
      must(H5Tget_class(type) == H5T_STRING, "read extra/keys, expected texts");
      if (H5Tis_variable_str(type) > 0) {
        std::vector<char*> texts(count);
        must(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()) >= 0, "read extra/keys");
        for (char* text : texts) words.emplace_back(text ? text : "");
        const Object space(H5Dget_space(set), H5Sclose, "the shape of extra/keys");
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, static_cast<void*>(texts.data()));
        return;
      }
      const std::size_t size = H5Tget_size(type);
      std::string texts(size * count, '\0');
      must(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()) >= 0, "read extra/keys");
      for (hsize_t i = 0; i < count; ++i) words.emplace_back(texts.substr(i * size, size).c_str());
    });
    return words;
  }

 private:
  template <class Work>
  void guarded(const Work& work) const {
    static std::mutex one_thread;
    const std::lock_guard lock(one_thread);
    const hdf5::Silence silence;
    try {
      work();
    } catch (const hdf5::Refused& refused) {
      throw DataError(fmt::format("{}: {}", path_, refused.what()));
    }
  }

  const std::string path_;
  std::unique_ptr<Object> file_, times_, units_;
  std::vector<std::int64_t> labels_;
};

}  // namespace

Collection read_heidelberg(const SourceFiles& files) {
  std::vector<std::shared_ptr<SpikeFile>> parts;
  std::string hashes;
  for (std::size_t number = 0; number < files.names.size(); ++number) {
    const std::filesystem::path path = files.folder / files.names[number];
    hashes += sha256_file(path);
    parts.push_back(std::make_shared<SpikeFile>(path));
  }
  std::vector<std::string> classes = parts.front()->words();
  std::int64_t last = 0;
  for (const auto& part : parts) last = std::max(last, *std::max_element(part->labels().begin(), part->labels().end()));
  for (auto c = static_cast<std::int64_t>(classes.size()); c <= last; ++c) classes.push_back(std::to_string(c));
  const auto set = [&](const std::shared_ptr<SpikeFile>& part) {
    return recordings([part](std::int64_t number) { return part->events(number); },
                      at::tensor(part->labels(), at::kLong), {1, cochlea_channels, 1}, classes, files.events);
  };
  Collection all;
  all.train = set(parts.front());
  if (parts.size() > 2) all.validation = set(parts[1]);
  all.test = set(parts.back());
  const std::string note = frames_note(files.events);
  all.fingerprint = sha256(hashes + " " + note);
  all.notes = {note};
  return all;
}

}  // namespace grapes::data
