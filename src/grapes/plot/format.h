#pragma once

#include <cstddef>
#include <string>
#include <vector>

/// How numbers and names are written for people, the same in tables, sentences and pictures.
namespace grapes::plot {

/// With so many decimals, a true minus sign, and never "-0.00". Not dependent on the locale.
std::string fixed(double value, int decimals);
/// The same with a plus sign where it is above 0.
std::string with_sign(double value, int decimals);
/// "0.0625", "< 0.0001".
std::string p_value(double p);
/// The name cut to so many characters, the last one an ellipsis.
std::string shortened(const std::string& name, std::size_t most);
/// "1 seed", "3 seeds".
std::string count(std::size_t n, const std::string& noun);
/// "a", "a and b", "a, b and c".
std::string listed(std::vector<std::string> names);
/// A name between back quotes, which a page shows as code.
std::string quoted(const std::string& name);

}  // namespace grapes::plot
