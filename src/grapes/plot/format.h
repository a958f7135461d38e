#pragma once

#include <cstddef>
#include <string>
#include <vector>

/// Formatting of numbers and names for people, the same in tables, sentences and images.
namespace grapes::plot {

/// Writes a number with this many decimals and a typographic minus sign, never "-0.00". Does not depend on the locale.
std::string fixed(double value, int decimals);
/// Like fixed(), with a plus sign for positive numbers.
std::string with_sign(double value, int decimals);
/// Writes "0.0625" or "< 0.0001".
std::string p_value(double p);
/// Shortens a name to this many characters, the last one an ellipsis.
std::string shortened(const std::string& name, std::size_t most);
/// Writes "1 seed" or "3 seeds".
std::string count(std::size_t n, const std::string& noun);
/// Writes "a", "a and b" or "a, b and c".
std::string listed(std::vector<std::string> names);
/// Puts a name between back quotes; the page shows it as code.
std::string quoted(const std::string& name);

}  // namespace grapes::plot
