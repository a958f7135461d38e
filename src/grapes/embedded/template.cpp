#include "grapes/embedded/template.h"

#include "grapes/base/text.h"

#include <stdexcept>
#include <vector>

namespace grapes::embedded {
namespace {

constexpr std::string_view mark = "//@ ";

std::string fill_line(std::string_view line, const std::map<std::string, std::string>& values) {
  std::string filled;
  while (true) {
    const std::size_t begin = line.find('@'), end = line.find('@', begin + 1);
    filled += line.substr(0, begin);
    if (begin == std::string_view::npos) return filled;
    const std::string key(line.substr(begin + 1, end - begin - 1));
    const auto value = values.find(key);
    if (end == std::string_view::npos || value == values.end())
      throw std::logic_error("the template asks for '" + key + "', which nobody gives");
    filled += value->second;
    line.remove_prefix(end + 1);
  }
}

}  // namespace

std::string fill(std::string_view text, const std::map<std::string, std::string>& values,
                 const std::set<std::string>& parts) {
  std::string filled;
  std::vector<bool> wanted = {true};  // of the pairs around the line, the innermost last
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  for (const std::string& line : split(text, '\n')) {
    if (!line.starts_with(mark)) {
      if (wanted.back()) filled += fill_line(line, values) + "\n";
      continue;
    }
    const std::vector<std::string> words = split(line.substr(mark.size()), ' ');
    if (words.front() == "if") {
      const bool has = parts.count(words.back()) > 0, negated = words.size() == 3;
      wanted.push_back(wanted.back() && has != negated);
    } else {
      wanted.pop_back();
      if (wanted.empty()) throw std::logic_error("the template has an end too many");
    }
  }
  if (wanted.size() != 1) throw std::logic_error("the template has an end too few");
  return filled;
}

}  // namespace grapes::embedded
