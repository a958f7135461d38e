#include "grapes/experiment/arms.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/continual/method.h"
#include "grapes/credit/modulation.h"
#include "grapes/credit/route.h"
#include "grapes/experiment/key.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

namespace grapes::experiment {
namespace {

template <class Rows>
bool has_row(const Rows& rows, const std::string& name) {
  return std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return row.name == name; });
}

/// Returns the key that one piece of an arm's name sets ("fa", "grapes", "constant:1.8", "ewc"), or nothing.
std::string key_of(const std::string& piece) {
  if (has_row(credit::routes(), piece)) return "route";
  if (has_row(credit::modulations(), piece.substr(0, piece.find(':')))) return "modulation";
  if (has_row(continual::methods(), piece)) return "method";
  return "";
}

/// Splits an arm's name at each + that another name follows: "der+++grapes" is der++ and grapes.
std::vector<std::string> pieces_of(const std::string& arm) {
  std::vector<std::string> pieces = {""};
  for (std::size_t i = 0; i < arm.size(); ++i)
    if (arm[i] == '+' && i + 1 < arm.size() && std::isalnum(static_cast<unsigned char>(arm[i + 1])) != 0)
      pieces.emplace_back();
    else
      pieces.back() += arm[i];
  return pieces;
}

/// @throws UsageError with all available names
[[noreturn]] void refuse_arm(const Config& config, const std::string& arm) {
  std::vector<std::string> names;
  for (const auto& [name, values] : config.own_arms) names.push_back(name);
  const auto add = [&](const auto& rows) {
    for (const auto& row : rows)
      if (row.name != "none") names.push_back(row.name);
  };
  add(credit::routes());
  add(credit::modulations());
  if (has_tasks(config)) add(continual::methods());
  throw UsageError("unknown arm '" + arm + "'" + did_you_mean(arm, names) + "; available: " + join(names, ", ") +
                   ", and ROUTE+MODULATION" + (has_tasks(config) ? ", METHOD+MODULATION" : ""));
}

}  // namespace

std::vector<std::string> split_arms(std::string_view list) {
  std::vector<std::string> arms;
  for (const std::string& piece : split(list, ',')) {
    const std::string arm(trim(piece));
    if (!arms.empty() && to_double(arm))
      arms.back() += "," + arm;  // continues constant:1.85,1.79
    else
      arms.push_back(arm);
  }
  return arms;
}

std::string arm_label(const Config& config) {
  if (!config.arm.empty()) return config.arm;
  const std::string& method = config.continual.method;
  const std::string& route = config.network.rule.route;
  const std::string modulation = find_key("modulation").get(config);
  std::vector<std::string> pieces;
  if (method != "none") pieces.push_back(method);
  if (route != "bp") pieces.push_back(route);
  if (modulation != "none") pieces.push_back(modulation);
  return pieces.empty() ? "bp" : join(pieces, "+");
}

Config with_arm(Config config, const std::string& arm) {
  std::map<std::string, std::string> given = {{"method", "none"}, {"route", "bp"}, {"modulation", "none"}};
  const std::vector<std::string> pieces =
      config.own_arms.contains(arm) ? std::vector<std::string>{arm} : pieces_of(arm);
  std::set<std::string> named;
  for (const std::string& piece : pieces) {
    const auto own = config.own_arms.find(piece);
    const std::string key = own != config.own_arms.end() ? "arm" : key_of(piece);
    if (key.empty() || !named.insert(key).second) refuse_arm(config, arm);
    if (key != "arm") continue;
    given.clear();  // what it does not set is as in the configuration
    for (const auto& [name, value] : own->second) set(config, name, value);
  }
  for (const std::string& piece : pieces)
    if (!config.own_arms.contains(piece)) given[key_of(piece)] = piece;
  for (const auto& [key, value] : given) set(config, key, value);
  config.arm = named.contains("arm") ? arm : "";
  config.arm = arm_label(config);
  config.compare = {};
  config.own_arms.clear();
  return config;
}

}  // namespace grapes::experiment
