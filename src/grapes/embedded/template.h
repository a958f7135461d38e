#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace grapes::embedded {

/// A text with holes, filled: @key@ becomes its value; the lines between `//@ if PART` (or `//@ if not PART`) and
/// `//@ end` stay only where the part is (not) wanted. These pairs nest.
/// @throws std::logic_error for a key without a value, or an `if` or `end` alone: the template is wrong
std::string fill(std::string_view text, const std::map<std::string, std::string>& values,
                 const std::set<std::string>& parts);

}  // namespace grapes::embedded
