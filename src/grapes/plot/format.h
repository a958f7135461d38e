#pragma once

#include <cstddef>
#include <string>

namespace grapes::plot {

/// With so many decimals, a true minus sign, and never "-0.00". Not dependent on the locale.
std::string fixed(double value, int decimals);
/// The same with a plus sign where it is above 0.
std::string with_sign(double value, int decimals);
/// The name cut to so many characters, the last one an ellipsis.
std::string shortened(const std::string& name, std::size_t most);

}  // namespace grapes::plot
