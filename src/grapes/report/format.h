#pragma once

#include <cstddef>
#include <string>
#include <vector>

/// How numbers are written for people, the same in the table, the findings, the plots and the page.
namespace grapes::report {

/// With so many decimals, a true minus sign, and never "-0.00". Not dependent on the locale.
std::string fixed(double value, int decimals);
/// The same with a plus sign where it is above 0.
std::string with_sign(double value, int decimals);
/// "0.0625", "< 0.0001".
std::string p_value(double p);

/// How a score is written: accuracy in percent and its differences in points, everything else as it is.
struct Unit {
  double factor;
  int decimals;
  std::string suffix;      ///< of a level, " %" or ""
  std::string difference;  ///< of a difference, " points" or ""

  std::string number(double score) const { return fixed(factor * score, decimals); }
  std::string level(double score) const { return number(score) + suffix; }
  std::string change(double difference) const { return with_sign(factor * difference, decimals); }
};
Unit unit_of(const std::string& score);
/// "accuracy", "R²".
std::string score_name(const std::string& score);
/// What is summed and averaged in it, where the name does not tell; else "".
std::string score_meaning(const std::string& score);

/// "layer 0"; a name that says so itself stays as it is.
std::string layer_title(const std::string& name);
/// How wide a text stands on a terminal, in characters.
std::size_t characters(const std::string& text);
/// A table of text, the first column to the left, the others to the right.
std::string aligned(const std::vector<std::vector<std::string>>& rows);

/// "1 seed", "3 seeds".
std::string count(std::size_t n, const std::string& noun);

}  // namespace grapes::report
