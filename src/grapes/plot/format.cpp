#include "grapes/plot/format.h"

#include "grapes/base/text.h"

#include <fmt/format.h>

#include <cmath>

namespace grapes::plot {
namespace {

bool is_zero(const std::string& digits) { return digits.find_first_of("123456789") == std::string::npos; }

}  // namespace

std::string fixed(double value, int decimals) {
  if (!std::isfinite(value)) return "not a number";
  const std::string text = fmt::format("{:.{}f}", std::abs(value), decimals);
  return value < 0 && !is_zero(text) ? "−" + text : text;
}

std::string with_sign(double value, int decimals) {
  const std::string text = fixed(value, decimals);
  return value > 0 && !is_zero(text) ? "+" + text : text;
}

std::string p_value(double p) { return p < 0.0001 ? "< 0.0001" : fixed(p, 4); }

std::string shortened(const std::string& name, std::size_t most) {
  return display_width(name) <= most ? name : name.substr(0, most - 1) + "…";
}

std::string count(std::size_t n, const std::string& noun) { return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s"); }

std::string listed(std::vector<std::string> names) {
  if (names.size() < 2) return join(names, "");
  const std::string last = names.back();
  names.pop_back();
  return join(names, ", ") + " and " + last;
}

std::string quoted(const std::string& name) { return "`" + name + "`"; }

}  // namespace grapes::plot
