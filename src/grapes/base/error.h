#pragma once

#include <stdexcept>
#include <string>

namespace grapes {

/// An error with a message that says what was found, where, and what was expected.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
  /// An error about a setting. The message is "FIELD PROBLEM", e.g. "pad 8: the images are larger".
  /// @param field  the setting as the library spells it; a program can replace it by the name of its option
  Error(const std::string& field, const std::string& problem) : Error(field + " " + problem) { field_ = field; }
  /// Returns "" if the error is not about a setting.
  const std::string& field() const noexcept { return field_; }

 private:
  std::string field_;
};

/// The work could not be completed.
class RunError final : public Error {
 public:
  using Error::Error;
};

/// An invalid setting. The message names the setting and its valid values.
class UsageError final : public Error {
 public:
  using Error::Error;
};

/// A file that is missing, corrupt, of the wrong kind, or cannot be written. The message names the file, and the line
/// or field if there is one.
class DataError final : public Error {
 public:
  using Error::Error;
};

/// A signal stopped the work (see interrupt.h).
class Interrupted final : public Error {
 public:
  using Error::Error;
};

}  // namespace grapes
