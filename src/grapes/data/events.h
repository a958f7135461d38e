#pragma once

#include "grapes/data/collection.h"
#include "grapes/data/dataset.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// Recordings of event cameras and other sensors that report changes, as sequences of frames.
namespace grapes::data {

/// A change that a sensor reported.
struct Event {
  std::int64_t time = 0;  ///< from the beginning of the recording, in the recording's unit
  std::int32_t row = 0, column = 0, polarity = 0;
};

struct Sensor {
  std::int64_t rows = 0, columns = 0, polarities = 2;
};

/// Returns the events of a recording, in order of time. Thread-safe. @throws DataError with the file
using ReadEvents = std::function<std::vector<Event>(std::int64_t number)>;

/// Recordings as sequences of `options.steps` frames [polarity, row, column], or [column] for a sensor of one row and
/// one polarity. They are read and binned when they are used, on several threads.
/// @throws UsageError for a setting that the sensor does not fit
DatasetPtr recordings(ReadEvents read, at::Tensor targets, const Sensor& sensor, std::vector<std::string> classes,
                      const EventOptions& options);
/// A remark for people on how recordings become frames.
std::string frames_note(const EventOptions& options);

/// Parts of files, one per recording, which are kept in memory if there is room for them.
class RecordingFiles {
 public:
  /// The bytes begin ... end-1 of a file; end = 0: to its end.
  void add(std::filesystem::path path, std::uint64_t begin = 0, std::uint64_t end = 0);
  /// Reads everything if it takes at most this many bytes.
  void hold(std::uint64_t most);
  std::int64_t size() const { return static_cast<std::int64_t>(parts_.size()); }
  const std::filesystem::path& path(std::int64_t number) const { return parts_[static_cast<std::size_t>(number)].path; }
  std::string bytes(std::int64_t number) const;

 private:
  struct Part {
    std::filesystem::path path;
    std::uint64_t begin, end;
  };
  std::vector<Part> parts_;
  std::vector<std::string> held_;
};

/// N-MNIST's events of 40 bits, big-endian: column, row (8 bits each), polarity (1), time in microseconds (23). An
/// event in row 240 says that 2^13 have to be added to all later times. @throws DataError with `file`
std::vector<Event> nmnist_events(std::string_view bytes, const std::string& file);

/// AEDAT 2.0 of a DVS128: lines that begin with #, then an address and a time in microseconds, big-endian u32 each. In
/// an address bit 0 is 0 for a brighter pixel, bits 1 ... 7 count columns from the right, and 8 ... 14 rows from below,
/// of a camera that is mounted on its side: as jAER shows them, row = 127 − bits 1 ... 7 and column = 127 − bits 8
/// ... 14.
std::vector<Event> aedat2_events(std::string_view bytes, const std::string& file);

/// A packet of an AEDAT 3.1 file.
struct Packet {
  std::uint64_t begin, end;  ///< its place in the file
  std::int64_t first, last;  ///< times of its events in microseconds
};
/// The packets of polarity events. @throws DataError with `file` for another format or a packet that is cut off
std::vector<Packet> aedat3_packets(std::string_view bytes, const std::string& file);
/// The valid events of some packets with begin <= time < end, with times from `begin`.
std::vector<Event> aedat3_events(std::string_view packets, std::int64_t begin, std::int64_t end);

}  // namespace grapes::data
