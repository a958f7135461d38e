#pragma once

#include "grapes/cli/program.h"
#include "grapes/experiment/config.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace grapes::cli {

/// The keys of a configuration as options of a verb: --learning-rate 0.1, --bias, --no-bias.
class Settings {
 public:
  /// @param groups    which of them; empty: all
  /// @param standard  what the verb begins from: the help names its values
  void add(CLI::App& verb, const std::set<std::string>& groups = {}, const std::set<std::string>& leave_out = {},
           const experiment::Config& standard = {});
  /// Whatever was given, over `config`. @throws UsageError
  void apply(experiment::Config& config) const;
  /// The keys that were given.
  std::set<std::string> given() const;

 private:
  std::vector<std::pair<std::string, std::string>> given_;
};

}  // namespace grapes::cli
