#include "grapes/cli/settings.h"

#include <cctype>

namespace grapes::cli {
namespace {

constexpr std::size_t description_width = 64;

std::string describe(const experiment::Key& key, const experiment::Config& standard) {
  const std::string value = key.get(standard);
  return wrap(key.meaning + (value.empty() ? "" : " [" + value + "]"), description_width);
}

/// Converts "data" to the heading "Data".
std::string title(std::string group) {
  group[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(group[0])));
  return group;
}

}  // namespace

void Settings::add(CLI::App& verb, const std::set<std::string>& groups, const std::set<std::string>& leave_out,
                   const experiment::Config& standard) {
  for (const std::string& name : leave_out) experiment::find_key(name);
  for (const experiment::Key& key : experiment::keys()) {
    if ((!groups.empty() && groups.count(key.group) == 0) || leave_out.count(key.name) > 0) continue;
    const std::string name = key.name;
    CLI::Option* option = nullptr;
    if (key.kind == experiment::Key::Kind::flag) {
      option = verb.add_flag_function(
          "--" + name + ",!--no-" + name,
          [this, name](std::int64_t times) { given_.emplace_back(name, times > 0 ? "true" : "false"); },
          describe(key, standard));
    } else {
      option = verb.add_option_function<std::string>(
          "--" + name + (key.abbreviation.empty() ? "" : ",--" + key.abbreviation),
          [this, name](const std::string& value) { given_.emplace_back(name, value); }, describe(key, standard));
      option->type_name(key.takes);
    }
    option->group(title(key.group))->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
}

void Settings::apply(experiment::Config& config) const {
  for (const auto& [key, value] : given_) experiment::set(config, key, value);
}

std::vector<std::string> Settings::words() const {
  std::vector<std::string> words;
  for (const auto& [key, value] : given_) {
    const bool flag = experiment::find_key(key).kind == experiment::Key::Kind::flag;
    words.push_back((flag && value == "false" ? "--no-" : "--") + key);
    if (!flag) words.push_back(value);
  }
  return words;
}

std::set<std::string> Settings::given() const {
  std::set<std::string> names;
  for (const auto& [key, value] : given_) names.insert(key);
  return names;
}

}  // namespace grapes::cli
