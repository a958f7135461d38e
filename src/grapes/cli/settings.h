#pragma once

#include "grapes/cli/program.h"
#include "grapes/experiment/key.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace grapes::cli {

/// The keys of a configuration as options of a verb: --learning-rate 0.1, --bias, --no-bias.
class Settings {
 public:
  /// @param groups    which of them; empty: all
  /// @param leave_out names of keys that the verb has no use for
  /// @param standard  the configuration that the verb begins from: the help shows its values
  void add(CLI::App& verb, const std::set<std::string>& groups = {}, const std::set<std::string>& leave_out = {},
           const experiment::Config& standard = {});
  /// Sets what was given. @throws UsageError
  void apply(experiment::Config& config) const;
  /// The keys that were given.
  std::set<std::string> given() const;

 private:
  std::vector<std::pair<std::string, std::string>> given_;
};

}  // namespace grapes::cli
