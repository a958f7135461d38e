#pragma once

#include "grapes/base/error.h"
#include "grapes/record/record.h"

#include <string>

namespace grapes::continual {

/// Returns a field of a manifest or of one of its tasks. @throws DataError
template <class T>
T field(const record::Json& object, const char* name, const std::string& where) {
  try {
    return object.at(name).get<T>();
  } catch (const record::Json::exception&) {
    throw DataError(where + ": the field '" + name + "' is missing or has the wrong type");
  }
}

}  // namespace grapes::continual
