#pragma once

#include "grapes/cli/program.h"
#include "grapes/experiment/key.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace grapes::cli {

/// Keys of the configuration as options of a verb: --learning-rate 0.1, --bias, --no-bias.
class Settings {
 public:
  /// @param groups    groups of keys to add; empty: all
  /// @param leave_out names of keys that the verb does not use
  /// @param standard  the verb's default configuration, shown in the help
  void add(CLI::App& verb, const std::set<std::string>& groups = {}, const std::set<std::string>& leave_out = {},
           const experiment::Config& standard = {});
  /// Applies the given options. @throws UsageError
  void apply(experiment::Config& config) const;
  /// Returns the given keys.
  std::set<std::string> given() const;
  /// Returns the given options as words of a command line.
  std::vector<std::string> words() const;

 private:
  std::vector<std::pair<std::string, std::string>> given_;
};

}  // namespace grapes::cli
