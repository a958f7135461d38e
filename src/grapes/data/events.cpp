#include "grapes/data/events.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/parallel.h"

#include <ATen/Parallel.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <system_error>
#include <utility>

namespace grapes::data {
namespace {

std::int64_t pooled(std::int64_t pixels, std::int64_t pool) { return (pixels + pool - 1) / pool; }

class Recordings final : public Dataset {
 public:
  Recordings(ReadEvents read, at::Tensor targets, const Sensor& sensor, std::vector<std::string> classes,
             const EventOptions& options)
      : read_(std::move(read)), targets_(std::move(targets)), options_(options), threads_(at::get_num_threads()) {
    polarities_ = options.polarity == EventPolarity::merged ? 1 : sensor.polarities;
    rows_ = pooled(sensor.rows, options.pool);
    columns_ = pooled(sensor.columns, options.pool);
    info_.input_shape = {polarities_, rows_, columns_};
    if (polarities_ == 1 && rows_ == 1) info_.input_shape = {columns_};
    info_.outputs = static_cast<std::int64_t>(classes.size());
    info_.classes = std::move(classes);
    info_.sequence = true;
  }

  std::int64_t size() const override { return targets_.size(0); }
  const DatasetInfo& info() const override { return info_; }
  at::Tensor targets() const override { return targets_; }

  Batch get(const at::Tensor& rows, std::uint64_t) const override {
    const at::Tensor numbers = rows.contiguous();
    const std::int64_t batch = rows.size(0);
    std::vector<std::int64_t> shape = {options_.steps, batch};  // time first in memory
    shape.insert(shape.end(), info_.input_shape.begin(), info_.input_shape.end());
    const at::Tensor inputs = at::zeros(shape);
    for_each_number(batch, threads_, [&](std::int64_t b) {
      put(read_(numbers.data_ptr<std::int64_t>()[b]), inputs.data_ptr<float>(), b, batch);
    });
    return {inputs.transpose(0, 1), targets_.index_select(0, rows), at::ones({batch, options_.steps}, at::kBool)};
  }

 private:
  void put(const std::vector<Event>& events, float* inputs, std::int64_t b, std::int64_t batch) const {
    if (events.empty()) return;
    std::int64_t last = 0;
    for (const Event& event : events) last = std::max(last, event.time);
    const auto count = static_cast<std::int64_t>(events.size());
    for (std::int64_t i = 0; i < count; ++i) {
      const Event& event = events[static_cast<std::size_t>(i)];
      const std::int64_t step =
          options_.bins == EventBins::count ? i * options_.steps / count : event.time * options_.steps / (last + 1);
      const std::int64_t channel = polarities_ == 1 ? 0 : event.polarity;
      float& value =
          inputs[(((step * batch + b) * polarities_ + channel) * rows_ + event.row / options_.pool) * columns_ +
                 event.column / options_.pool];
      value = options_.values == EventValues::spikes ? 1 : value + 1;
    }
  }

  const ReadEvents read_;
  const at::Tensor targets_;
  const EventOptions options_;
  const int threads_;
  std::int64_t polarities_ = 0, rows_ = 0, columns_ = 0;
  DatasetInfo info_;
};

std::uint64_t number_at(std::string_view bytes, std::size_t at, std::size_t size, bool little) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i)
    value = value << 8 | static_cast<std::uint8_t>(bytes[at + (little ? size - 1 - i : i)]);
  return value;
}

/// The place after the lines that begin with #. @throws DataError if the first line is not this version
std::size_t after_header(std::string_view bytes, std::string_view version, const std::string& file) {
  const std::string first(bytes.substr(0, bytes.find_first_of("\r\n")));
  if (first != version)
    throw DataError(fmt::format("{}: the first line is '{:.40}', expected '{}'", file, first, version));
  std::size_t at = 0;
  while (at < bytes.size() && bytes[at] == '#') {
    const std::size_t end = bytes.find('\n', at);
    if (end == std::string_view::npos) throw DataError(file + ": the file ends within its header");
    at = end + 1;
  }
  return at;
}

}  // namespace

DatasetPtr recordings(ReadEvents read, at::Tensor targets, const Sensor& sensor, std::vector<std::string> classes,
                      const EventOptions& options) {
  if (options.steps < 1) throw UsageError("event_steps", fmt::format("{}: expected 1 or more", options.steps));
  const std::int64_t most = std::max(sensor.rows, sensor.columns);
  if (options.pool < 1 || options.pool > most)
    throw UsageError("event_pool", fmt::format("{}: expected 1 ... {}, the sensor's size", options.pool, most));
  return std::make_shared<Recordings>(std::move(read), std::move(targets), sensor, std::move(classes), options);
}

std::string frames_note(const EventOptions& options) {
  std::string note = fmt::format("events in {} steps", options.steps);
  if (options.bins == EventBins::count) note += " of the same number of events";
  note += options.values == EventValues::spikes ? ", as spikes" : ", as counts";
  if (options.pool > 1) note += fmt::format(", {0} x {0} pixels as one", options.pool);
  if (options.polarity == EventPolarity::merged) note += ", without polarity";
  return note;
}

void RecordingFiles::add(std::filesystem::path path, std::uint64_t begin, std::uint64_t end) {
  std::error_code error;
  if (end == 0) end = std::filesystem::file_size(path, error);
  if (error) throw DataError("cannot read " + path.string() + ": " + error.message());
  parts_.push_back({std::move(path), begin, end});
}

void RecordingFiles::hold(std::uint64_t most) {
  std::uint64_t total = 0;
  for (const Part& part : parts_) total += part.end - part.begin;
  if (total > most) return;
  std::vector<std::string> all;
  for (std::int64_t i = 0; i < size(); ++i) all.push_back(bytes(i));
  held_ = std::move(all);
}

std::string RecordingFiles::bytes(std::int64_t number) const {
  const auto place = static_cast<std::size_t>(number);
  if (!held_.empty()) return held_[place];
  const Part& part = parts_.at(place);
  std::ifstream file(part.path, std::ios::binary);
  std::string bytes(part.end - part.begin, '\0');
  if (!file.seekg(static_cast<std::streamoff>(part.begin)) ||
      !file.read(bytes.data(), static_cast<std::streamsize>(bytes.size())))
    throw DataError("cannot read " + part.path.string());
  return bytes;
}

std::vector<Event> nmnist_events(std::string_view bytes, const std::string& file) {
  constexpr std::size_t size = 5;
  constexpr std::int64_t overflow_row = 240, overflow = 1 << 13;
  if (bytes.empty() || bytes.size() % size != 0)
    throw DataError(fmt::format("{}: {} bytes, expected events of 5 bytes each", file, bytes.size()));
  std::vector<Event> events;
  events.reserve(bytes.size() / size);
  std::int64_t base = 0;
  for (std::size_t at = 0; at < bytes.size(); at += size) {
    const auto byte = [&](std::size_t i) { return static_cast<std::int32_t>(number_at(bytes, at + i, 1, false)); };
    if (byte(1) == overflow_row) {
      base += overflow;
      continue;
    }
    events.push_back({base + ((byte(2) & 127) << 16 | byte(3) << 8 | byte(4)), byte(1), byte(0), byte(2) >> 7});
  }
  return events;
}

std::vector<Event> aedat2_events(std::string_view bytes, const std::string& file) {
  constexpr std::size_t size = 8;
  constexpr std::uint64_t most = 0x7fff;  // higher addresses are other inputs of the camera, not pixels
  const std::string_view data = bytes.substr(after_header(bytes, "#!AER-DAT2.0", file));
  if (data.size() % size != 0)
    throw DataError(fmt::format("{}: {} bytes after the header, expected events of 8 bytes each", file, data.size()));
  std::vector<Event> events;
  std::int64_t begin = -1;
  for (std::size_t at = 0; at < data.size(); at += size) {
    const std::uint64_t address = number_at(data, at, 4, false);
    const auto time = static_cast<std::int64_t>(number_at(data, at + 4, 4, false));
    if (address > most) continue;
    if (begin < 0) begin = time;
    events.push_back({std::max<std::int64_t>(time - begin, 0), 127 - static_cast<std::int32_t>(address >> 1 & 127),
                      127 - static_cast<std::int32_t>(address >> 8 & 127), 1 - static_cast<std::int32_t>(address & 1)});
  }
  return events;
}

namespace {

constexpr std::size_t packet_header = 28;

/// The fields of a packet's header that are needed here, little-endian.
struct PacketHeader {
  explicit PacketHeader(std::string_view bytes)
      : type(number_at(bytes, 0, 2, true)),
        event_size(number_at(bytes, 4, 4, true)),
        overflow(static_cast<std::int64_t>(number_at(bytes, 12, 4, true))),
        capacity(number_at(bytes, 16, 4, true)),
        count(number_at(bytes, 20, 4, true)) {}
  bool has_polarity_events() const { return type == 1 && event_size == 8; }
  std::uint64_t body() const { return event_size * capacity; }
  std::int64_t time(std::string_view event) const {
    return overflow << 31 | static_cast<std::int64_t>(number_at(event, 4, 4, true));
  }

  std::uint64_t type, event_size;
  std::int64_t overflow;  ///< how often the 31 bits of a time have overflowed
  std::uint64_t capacity, count;
};

}  // namespace

std::vector<Packet> aedat3_packets(std::string_view bytes, const std::string& file) {
  std::vector<Packet> packets;
  for (std::size_t at = after_header(bytes, "#!AER-DAT3.1", file); at < bytes.size();) {
    const auto cut_off = [&] {
      return DataError(fmt::format("{}: the packet at byte {} is cut off at the end of the file", file, at));
    };
    if (bytes.size() - at < packet_header) throw cut_off();
    const PacketHeader header(bytes.substr(at, packet_header));
    if (header.body() > bytes.size() - at - packet_header || header.count > header.capacity) throw cut_off();
    const std::size_t end = at + packet_header + header.body();
    if (header.has_polarity_events() && header.count > 0)
      packets.push_back({at, end, header.time(bytes.substr(at + packet_header, 8)),
                         header.time(bytes.substr(at + packet_header + 8 * (header.count - 1), 8))});
    at = end;
  }
  return packets;
}

std::vector<Event> aedat3_events(std::string_view packets, std::int64_t begin, std::int64_t end) {
  std::vector<Event> events;
  while (packets.size() >= packet_header) {
    const PacketHeader header(packets);
    for (std::size_t i = 0; header.has_polarity_events() && i < header.count; ++i) {
      const std::string_view event = packets.substr(packet_header + 8 * i, 8);
      const std::uint64_t data = number_at(event, 0, 4, true);  // valid, polarity, 15 bits of row, 15 bits of column
      const std::int64_t time = header.time(event);
      if ((data & 1) == 0 || time < begin || time >= end) continue;
      events.push_back({time - begin, static_cast<std::int32_t>(data >> 2 & 0x7fff),
                        static_cast<std::int32_t>(data >> 17), static_cast<std::int32_t>(data >> 1 & 1)});
    }
    packets.remove_prefix(packet_header + header.body());
  }
  return events;
}

}  // namespace grapes::data
