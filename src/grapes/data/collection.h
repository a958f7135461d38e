#pragma once

#include "grapes/data/dataset.h"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace grapes::data {

/// What every reader returns.
struct Collection {
  DatasetPtr train;
  DatasetPtr validation = {};    ///< none where the source has no validation set of its own
  DatasetPtr test = {};          ///< none where the source has no test set of its own
  bool bytes = false;            ///< inputs were read as bytes: they lie in 0 ... 1, whatever the examples show
  std::string name = {};         ///< "mnist", or the path
  std::string fingerprint = {};  ///< SHA-256 over the unpacked bytes that were read
  std::vector<std::string> notes = {};
};

/// 1 where there was an event, or how many there were.
enum class EventValues { spikes, counts };

/// How events become steps.
struct EventOptions {
  std::int64_t steps = 25;  ///< equal parts of a recording's duration
  EventValues values = EventValues::spikes;
};

/// A file of a named source, unpacked.
struct UnpackedFile {
  std::string path;  ///< for messages
  std::string bytes;
};

/// A named source where its files were found, for its reader.
struct SourceFiles {
  const std::vector<std::string>& classes;  ///< of the source's row
  std::filesystem::path folder;
  std::function<UnpackedFile(std::size_t number)> read;  ///< a file by its number in the row. @throws DataError
  EventOptions events;
};

}  // namespace grapes::data
