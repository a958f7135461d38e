#include "grapes/data/nmnist.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/data/folder.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace grapes::data {
namespace {

constexpr std::int64_t sensor = 34, bytes_per_event = 5;

struct Event {
  std::int64_t column, row, polarity, time;
};

Event event_at(std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return std::int64_t{static_cast<std::uint8_t>(bytes[i])}; };
  return {byte(0), byte(1), byte(2) >> 7, (byte(2) & 127) << 16 | byte(3) << 8 | byte(4)};
}

template <class Visit>
void for_each_event(std::string_view recording, Visit visit) {
  for (; !recording.empty(); recording.remove_prefix(bytes_per_event)) visit(event_at(recording));
}

class Recordings final : public Dataset {
 public:
  Recordings(std::vector<std::string> recordings, at::Tensor targets, DatasetInfo info, EventOptions options)
      : recordings_(std::move(recordings)),
        targets_(std::move(targets)),
        info_(std::move(info)),
        options_(std::move(options)) {}

  std::int64_t size() const override { return targets_.size(0); }
  const DatasetInfo& info() const override { return info_; }
  at::Tensor targets() const override { return targets_; }

  Batch get(const at::Tensor& rows, std::uint64_t) const override {
    const at::Tensor numbers = rows.contiguous();
    const std::int64_t batch = rows.size(0), pixels = 2 * sensor * sensor;
    const at::Tensor inputs = at::zeros({options_.steps, batch, 2, sensor, sensor});  // time first in memory
    for (std::int64_t b = 0; b < batch; ++b) {
      const std::string& recording = recordings_.at(static_cast<std::size_t>(numbers.data_ptr<std::int64_t>()[b]));
      std::int64_t last = 0;
      for_each_event(recording, [&](const Event& event) { last = std::max(last, event.time); });
      for_each_event(recording, [&](const Event& event) {
        const std::int64_t step = event.time * options_.steps / (last + 1);
        float& value = inputs.data_ptr<float>()[(step * batch + b) * pixels +
                                                (event.polarity * sensor + event.row) * sensor + event.column];
        value = options_.values == EventValues::spikes ? 1 : value + 1;
      });
    }
    return {inputs.transpose(0, 1), targets_.index_select(0, rows), at::ones({batch, options_.steps}, at::kBool)};
  }

 private:
  const std::vector<std::string> recordings_;
  const at::Tensor targets_;
  const DatasetInfo info_;
  const EventOptions options_;
};

/// @param hashes  those of the files are appended
DatasetPtr part(const std::filesystem::path& folder, const SourceFiles& files, std::string& hashes) {
  std::vector<std::string> recordings;
  std::vector<std::int64_t> targets;
  for (std::size_t c = 0; c < files.classes.size(); ++c)
    for (const std::filesystem::path& path : sorted_entries(folder / files.classes[c])) {
      std::string bytes = read_file(path);
      if (bytes.empty() || bytes.size() % bytes_per_event != 0)
        throw DataError(fmt::format("{}: {} bytes, expected events of 5 bytes each", path.string(), bytes.size()));
      for_each_event(bytes, [&](const Event& event) {
        if (event.column >= sensor || event.row >= sensor)
          throw DataError(fmt::format("{}: an event at column {}, row {}, outside the sensor's 34 x 34", path.string(),
                                      event.column, event.row));
      });
      hashes += sha256(bytes);
      recordings.push_back(std::move(bytes));
      targets.push_back(static_cast<std::int64_t>(c));
    }
  if (recordings.empty()) throw DataError(folder.string() + ": no recordings");
  const auto outputs = static_cast<std::int64_t>(files.classes.size());
  return std::make_shared<Recordings>(
      std::move(recordings), at::tensor(targets, at::kLong),
      DatasetInfo{ProblemKind::classification, {2, sensor, sensor}, outputs, files.classes, true}, files.events);
}

}  // namespace

Collection read_nmnist(const SourceFiles& files) {
  const std::int64_t steps = files.events.steps;
  const char* values = files.events.values == EventValues::spikes ? "spikes" : "counts";
  if (steps < 1) throw UsageError("event_steps", fmt::format("{}: expected 1 or more", steps));
  std::string hashes;
  Collection all;
  all.train = part(files.folder / "Train", files, hashes);
  all.test = part(files.folder / "Test", files, hashes);
  all.fingerprint = sha256(fmt::format("{} {} {}", hashes, steps, values));
  all.notes = {fmt::format("events in {} steps, as {}", steps, values)};
  return all;
}

}  // namespace grapes::data
