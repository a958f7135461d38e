#pragma once

#include "grapes/data/dataset.h"
#include "grapes/data/picture_options.h"
#include "grapes/data/unpack.h"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace grapes::data {

/// What is done about cells of a table without a value: report an error, drop their rows, or fill them with a statistic
/// of the training examples. A text column always gets its most common text.
enum class Missing { error, drop, mean, median, most_common };

/// The result of every reader.
struct Collection {
  DatasetPtr train;
  DatasetPtr train_drawn = {};  ///< the same examples with a random part drawn for each seed; empty: they have none
  DatasetPtr validation = {};   ///< empty if the source has no validation set of its own
  DatasetPtr test = {};         ///< empty if the source has no test set of its own
  Missing missing = Missing::error;  ///< how to fill inputs without a value, which are NaN
  bool bytes = false;                ///< inputs were read as bytes, so their values lie in 0 ... 1
  std::string name = {};             ///< "mnist", or the path
  std::string fingerprint = {};      ///< SHA-256 over the unpacked bytes that were read
  std::vector<std::string> notes = {};
};

/// Value of an input per time step: 1 if there was an event, or the number of events.
enum class EventValues { spikes, counts };
/// What the steps of a recording have in common: their duration, or their number of events.
enum class EventBins { time, count };
/// Whether brighter and darker are two channels or one.
enum class EventPolarity { separate, merged };

/// How events are converted to time steps.
struct EventOptions {
  std::int64_t steps = 25;  ///< number of parts of a recording
  EventValues values = EventValues::spikes;
  EventBins bins = EventBins::time;
  std::int64_t pool = 1;  ///< pixels in each direction that become one
  EventPolarity polarity = EventPolarity::separate;
};

/// The files of a named source, for its reader.
struct SourceFiles {
  const std::vector<std::string>& classes;  ///< of the source's row
  std::vector<std::string> names;           ///< of the files, in the order of the row
  std::filesystem::path folder;
  std::function<UnpackedFile(std::size_t number)> read;  ///< returns a file by its number in the row. @throws DataError
  EventOptions events;
  PictureOptions pictures = {};
};

}  // namespace grapes::data
