#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/data/sequence.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string_view>

namespace grapes::data {
namespace {

constexpr std::int64_t sensor_side = 34, bytes_per_event = 5;

/// Numbers of a packed file, one after the other. @throws DataError where it is cut off
class Reader {
 public:
  Reader(std::string_view bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  std::string_view take(std::size_t count) {
    if (bytes_.size() - at_ < count)
      throw DataError(file_ + ": cut off at byte " + std::to_string(at_) + ", where " + std::to_string(count) +
                      " more were expected");
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }
  std::uint32_t byte() { return static_cast<std::uint8_t>(take(1)[0]); }
  std::uint32_t word() {
    std::uint32_t value = 0;
    for (std::uint32_t shift = 0; shift < 32; shift += 8) value |= byte() << shift;
    return value;
  }
  bool at_end() const { return at_ == bytes_.size(); }
  const std::string& file() const { return file_; }

 private:
  std::string_view bytes_;
  const std::string& file_;
  std::size_t at_ = 0;
};

struct Event {
  std::int64_t column, row, polarity, time;
};

Event event_at(std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return std::int64_t{static_cast<std::uint8_t>(bytes[i])}; };
  return {byte(0), byte(1), byte(2) >> 7, (byte(2) & 127) << 16 | byte(3) << 8 | byte(4)};
}

/// [steps, polarity, row, column]
at::Tensor frames(std::string_view events, const EventOptions& options, const std::string& where) {
  std::int64_t last = 0;
  for (std::size_t i = 0; i < events.size(); i += bytes_per_event)
    last = std::max(last, event_at(events.substr(i, bytes_per_event)).time);
  const at::Tensor steps = at::zeros({options.steps, 2, sensor_side, sensor_side}, at::kByte);
  auto* pixel = steps.data_ptr<std::uint8_t>();
  for (std::size_t i = 0; i < events.size(); i += bytes_per_event) {
    const Event event = event_at(events.substr(i, bytes_per_event));
    if (event.column >= sensor_side || event.row >= sensor_side)
      throw DataError(where + ": an event at column " + std::to_string(event.column) + ", row " +
                      std::to_string(event.row) + ", outside of 34 x 34");
    const std::int64_t step = event.time * options.steps / (last + 1);
    std::uint8_t& value = pixel[((step * 2 + event.polarity) * sensor_side + event.row) * sensor_side + event.column];
    value = options.values == "spikes" ? 1 : static_cast<std::uint8_t>(std::min(value + 1, 255));
  }
  return steps;
}

Sequences part(Reader& reader, std::uint32_t count, const EventOptions& options) {
  Sequences examples;
  std::vector<std::int64_t> classes;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string where = reader.file() + ": recording " + std::to_string(reader.word());
    const std::uint32_t label = reader.byte(), events = reader.word();
    if (label > 9) throw DataError(where + ": expected a label of 0 to 9; got " + std::to_string(label));
    examples.inputs.push_back(frames(reader.take(std::size_t{events} * bytes_per_event), options, where));
    classes.push_back(label);
  }
  examples.classes = at::tensor(classes, at::kLong);
  return examples;
}

}  // namespace

SequenceCollection read_events(const std::string& bytes, const std::string& file, const EventOptions& options) {
  if (options.values != "spikes" && options.values != "counts")
    throw UsageError("--event-values " + options.values + ": expected spikes or counts");
  if (options.steps < 1) throw UsageError("--event-steps must be 1 or more; got " + std::to_string(options.steps));
  Reader reader(bytes, file);
  if (reader.take(8) != "NMNISTS1") throw DataError(file + ": expected to begin with NMNISTS1");
  const std::uint32_t train = reader.word(), test = reader.word();
  SequenceCollection all;
  all.info = {ProblemKind::classification, {2, sensor_side, sensor_side}, 10, {}, true};
  for (int digit = 0; digit < 10; ++digit) all.info.classes.push_back(std::to_string(digit));
  all.train = part(reader, train, options);
  all.test = part(reader, test, options);
  if (!reader.at_end()) throw DataError(file + ": bytes follow the last recording");
  all.fingerprint = sha256(bytes + std::to_string(options.steps) + options.values);
  all.notes = {"events in " + std::to_string(options.steps) + " steps, as " + options.values};
  return all;
}

}  // namespace grapes::data
