#pragma once

#include "grapes/plot/format.h"

#include <cstddef>
#include <string>
#include <vector>

/// How numbers and names are written for people, the same in the table, the findings, the plots and the page.
namespace grapes::report {

using plot::fixed;
using plot::shortened;
using plot::with_sign;

/// "0.0625", "< 0.0001".
std::string p_value(double p);
/// "1 seed", "3 seeds".
std::string count(std::size_t n, const std::string& noun);
/// "a", "a and b", "a, b and c".
std::string listed(std::vector<std::string> names);
/// A name between back quotes, which a page shows as code.
std::string quoted(const std::string& name);
/// "layer 0"; a name that says so itself stays as it is.
std::string layer_title(const std::string& name);
/// How a measure is written: an accuracy in percent and its differences in points, everything else as it is.
struct Unit {
  double factor = 1;
  int decimals = 4;
  std::string suffix = {};      ///< of a level, " %" or ""
  std::string difference = {};  ///< of a difference, " points" or ""

  std::string number(double value) const { return fixed(factor * value, decimals); }
  std::string level(double value) const { return number(value) + suffix; }
  std::string change(double value) const { return with_sign(factor * value, decimals); }
  std::string axis() const { return suffix.empty() ? "" : "," + suffix; }
};

}  // namespace grapes::report
