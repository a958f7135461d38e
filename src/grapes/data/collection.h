#pragma once

#include "grapes/data/dataset.h"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace grapes::data {

/// The result of every reader.
struct Collection {
  DatasetPtr train;
  DatasetPtr validation = {};    ///< empty if the source has no validation set of its own
  DatasetPtr test = {};          ///< empty if the source has no test set of its own
  bool bytes = false;            ///< inputs were read as bytes, so their values lie in 0 ... 1
  std::string name = {};         ///< "mnist", or the path
  std::string fingerprint = {};  ///< SHA-256 over the unpacked bytes that were read
  std::vector<std::string> notes = {};
};

/// Value of an input per time step: 1 if there was an event, or the number of events.
enum class EventValues { spikes, counts };

/// How events are converted to time steps.
struct EventOptions {
  std::int64_t steps = 25;  ///< number of equal parts of a recording's duration
  EventValues values = EventValues::spikes;
};

/// An unpacked file of a named source.
struct UnpackedFile {
  std::string path;  ///< for messages
  std::string bytes;
};

/// The files of a named source, for its reader.
struct SourceFiles {
  const std::vector<std::string>& classes;  ///< of the source's row
  std::filesystem::path folder;
  std::function<UnpackedFile(std::size_t number)> read;  ///< returns a file by its number in the row. @throws DataError
  EventOptions events;
};

}  // namespace grapes::data
