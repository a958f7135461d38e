#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace grapes {

/// Splits the text at each separator; "" gives one empty piece.
std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& pieces, std::string_view separator);
/// Removes white space at both ends.
std::string_view trim(std::string_view text);

/// Parses the whole text as a number: "1e-3" is valid; "1e-3x", "" and " 1" are not. Independent of the locale.
std::optional<double> to_double(std::string_view text);
std::optional<long long> to_integer(std::string_view text);

/// Returns the shortest text that parses to the same double.
std::string shortest(double value);

/// Returns the number of terminal columns of the text: an accented letter takes one, a Chinese character two.
std::size_t display_width(std::string_view text);
/// Formats rows as aligned columns, separated by two spaces, without trailing spaces.
/// @param align  'l' or 'r' for each column; the last letter applies to all following columns
std::string columns(const std::vector<std::vector<std::string>>& rows, std::string_view align = "l");

/// Returns the time in UTC, formatted by std::strftime.
std::string utc_now(const char* format = "%Y-%m-%dT%H:%M:%SZ");

/// Returns the candidate with the smallest edit distance, or nothing if none is similar.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates);
/// Returns " (did you mean 'x'?)", or "" if no candidate is similar.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace grapes
