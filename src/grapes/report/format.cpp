#include "grapes/report/format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace grapes::report {

std::string fixed(double value, int decimals) {
  if (!std::isfinite(value)) return "not a number";
  std::array<char, 400> buffer{};  // 309 digits and the decimals
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::abs(value), std::chars_format::fixed, decimals)
          .ptr;
  std::string text(buffer.data(), end);
  const bool zero = text.find_first_of("123456789") == std::string::npos;
  return value < 0 && !zero ? "−" + text : text;
}

std::string with_sign(double value, int decimals) {
  const std::string text = fixed(value, decimals);
  const bool zero = text.find_first_of("123456789") == std::string::npos;
  return value > 0 && !zero ? "+" + text : text;
}

std::string p_value(double p) { return p < 0.0001 ? "< 0.0001" : fixed(p, 4); }

Unit unit_of(const std::string& score) {
  return score == "accuracy" ? Unit{100, 2, " %", " points"} : Unit{1, 4, "", ""};
}

std::string score_name(const std::string& score) {
  return score == "r2" ? "R²" : score == "log_likelihood" ? "log-likelihood" : score;
}

std::string score_meaning(const std::string& score) {
  return score == "log_likelihood" ? "that of a step, summed over its bits, mean over all steps of a part" : "";
}

std::string layer_title(const std::string& name) { return name.starts_with("layer") ? name : "layer " + name; }

std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], characters(row[c]));
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string gap(widths[c] - characters(row[c]), ' ');
      line += (c > 0 ? "  " : "") + (c == 0 ? row[c] + gap : gap + row[c]);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string count(std::size_t n, const std::string& noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

}  // namespace grapes::report
