#pragma once

#include "grapes/data/number_style.h"

#include <string>
#include <string_view>
#include <vector>

namespace grapes::data {

/// How a table is written.
struct Dialect {
  char delimiter = ',';  ///< ' ': any number of spaces and tabs
  bool header = true;
  NumberStyle numbers;
  char comment = '\0';             ///< begins a line that is not a record; '\0': none
  bool trailing = false;           ///< every record ends with a delimiter
  std::vector<std::string> names;  ///< of the columns; without a header "column 1", ...
  std::vector<bool> is_text;       ///< whether a column has categories, by the cells of the sample

  /// One line for people: "separated by ';', with a header, decimal comma".
  std::string describe() const;
};

/// Most different texts of a column of categories. More are probably names or sentences.
inline constexpr std::size_t most_texts = 64;

/// What the user sets; auto: detected.
struct DialectOptions {
  std::string delimiter = "auto";       ///< auto, comma, semicolon, tab, space, pipe, or one character
  std::string header = "auto";          ///< auto, yes or no
  std::string decimal = "auto";         ///< auto, point or comma
  std::vector<std::string> names = {};  ///< of the columns of a file without a header; empty: the file's own
};

/// Whether a cell has no value: empty, ?, -, NA, NaN, null, None, ... in upper or lower case.
/// @param cell  without white space around it
bool is_missing(std::string_view cell);

/// Finds the dialect from the first few hundred lines: the delimiter that divides all lines into equally many fields
/// that contain no other delimiter, the style in which most cells are numbers, and a header if its cells differ from
/// those below them.
/// @throws DataError for an empty file, or columns of the same name
Dialect find_dialect(std::string_view text, const DialectOptions& options, const std::string& file);

}  // namespace grapes::data
