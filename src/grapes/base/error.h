#pragma once

#include <stdexcept>
#include <string>

namespace grapes {

/// What a program that uses Grapes returns to the shell.
enum class Exit : int { done = 0, failed = 1, usage = 2, data = 3, diverged = 4, interrupted = 130, terminated = 143 };

/// A mistake that can be told in one sentence: what was found, where, and what was expected. `exit` is the code with
/// which the command line ends.
class Error : public std::runtime_error {
 public:
  Error(Exit exit, const std::string& message) : std::runtime_error(message), exit_(exit) {}
  Exit exit() const noexcept { return exit_; }

 private:
  Exit exit_;
};

/// The run could not do its work: exit code 1.
class RunError final : public Error {
 public:
  explicit RunError(const std::string& message) : Error(Exit::failed, message) {}
};

/// An option, key or value that cannot be: exit code 2. Names the option and what it takes.
class UsageError final : public Error {
 public:
  explicit UsageError(const std::string& message) : Error(Exit::usage, message) {}
};

/// A file that is missing, corrupt, of the wrong kind, or cannot be written: exit code 3. Names the file, and the line
/// or field where there is one.
class DataError final : public Error {
 public:
  explicit DataError(const std::string& message) : Error(Exit::data, message) {}
};

}  // namespace grapes
