#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace grapes {

/// How wide a text stands on a terminal, in characters: UTF-8 continuation bytes do not count.
std::size_t characters(std::string_view text);

/// Rows as a table of text, two spaces between the columns, no spaces at the end of a line.
/// @param align  'l' or 'r' for each column; the last letter holds for all columns that follow
std::string columns(const std::vector<std::vector<std::string>>& rows, std::string_view align = "l");

}  // namespace grapes
