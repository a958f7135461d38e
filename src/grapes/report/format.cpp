#include "grapes/report/format.h"

#include <fmt/format.h>

namespace grapes::report {

std::string p_value(double p) { return p < 0.0001 ? "< 0.0001" : fixed(p, 4); }

std::string count(std::size_t n, const std::string& noun) { return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s"); }

std::string listed(std::vector<std::string> names) {
  if (names.size() < 2) return fmt::format("{}", fmt::join(names, ""));
  const std::string last = names.back();
  names.pop_back();
  return fmt::format("{} and {}", fmt::join(names, ", "), last);
}

std::string quoted(const std::string& name) { return "`" + name + "`"; }

std::string layer_title(const std::string& name) { return name.starts_with("layer") ? name : "layer " + name; }

}  // namespace grapes::report
