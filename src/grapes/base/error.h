#pragma once

#include <stdexcept>
#include <string>

namespace grapes {

/// A mistake that one sentence explains: what was found, where, and what was expected.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
  /// About a setting: the message is "FIELD PROBLEM", e.g. "pad 8: the images are larger".
  /// @param field  the setting as the library spells it, so that a program can name its own option for it
  Error(const std::string& field, const std::string& problem) : Error(field + " " + problem) { field_ = field; }
  /// "" where the mistake is about none.
  const std::string& field() const noexcept { return field_; }

 private:
  std::string field_;
};

/// The work could not be done.
class RunError final : public Error {
 public:
  using Error::Error;
};

/// A setting that cannot be. Names it and what it takes.
class UsageError final : public Error {
 public:
  using Error::Error;
};

/// A file that is missing, corrupt, of the wrong kind, or cannot be written. Names the file, and the line or field
/// where there is one.
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
