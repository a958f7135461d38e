#include "grapes/exchange/metadata.h"

#include "grapes/base/error.h"
#include "grapes/experiment/checkpoint.h"
#include "grapes/experiment/toml.h"

#include <nlohmann/json.hpp>

namespace grapes::exchange {

experiment::Config config_in(const std::string& text, const std::string& file) {
  experiment::Config config;
  try {
    experiment::read_toml_text(config, text, file + ": its configuration");
  } catch (const UsageError& error) {  // not a mistake of the user
    throw DataError(error.what());
  }
  return config;
}

data::DatasetInfo info_in(const std::string& text, const std::string& file) {
  try {
    data::DatasetInfo info = experiment::info_from(record::Json::parse(text));
    if (info.outputs < 1) throw DataError("outputs must be at least 1");
    return info;
  } catch (const std::exception& error) {
    throw DataError(file + ": the entry 'dataset' of its metadata is invalid: " + error.what());
  }
}

}  // namespace grapes::exchange
