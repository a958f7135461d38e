#pragma once

#include "grapes/data/dataset.h"
#include "grapes/experiment/config.h"

#include <string>

/// Reads what exports store in the metadata of a file, so that an import restores the same checkpoint.
namespace grapes::exchange {

/// @param text  the entry "config", TOML @param file  for messages @throws DataError with the file
experiment::Config config_in(const std::string& text, const std::string& file);
/// @param text  the entry "dataset", JSON @param file  for messages @throws DataError with the file
data::DatasetInfo info_in(const std::string& text, const std::string& file);

}  // namespace grapes::exchange
