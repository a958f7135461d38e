#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace grapes {

/// The pieces between the separators; "" gives one empty piece.
std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& pieces, std::string_view separator);
/// Without white space at either end.
std::string_view trim(std::string_view text);

/// The whole text as a number, or nothing: "1e-3" yes, "1e-3x", "" and " 1" no. Not dependent on the locale.
std::optional<double> to_double(std::string_view text);
std::optional<long long> to_integer(std::string_view text);

/// The shortest text that reads back as the same double.
std::string shortest(double value);

/// Columns that a terminal needs for the text: an accented letter one, a Chinese character two.
std::size_t display_width(std::string_view text);
/// Rows as columns side by side, two spaces between them, without spaces at the end of a line.
/// @param align  'l' or 'r' for each column; the last letter holds for all columns that follow
std::string columns(const std::vector<std::vector<std::string>>& rows, std::string_view align = "l");

/// The time in UTC by std::strftime's format.
std::string utc_now(const char* format = "%Y-%m-%dT%H:%M:%SZ");

/// The candidate with the smallest edit distance, or nothing if none is near enough to be meant.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates);
/// " (did you mean 'x'?)", or "" if nothing is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace grapes
