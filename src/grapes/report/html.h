#pragma once

#include <string>
#include <utility>
#include <vector>

/// What the pages are built of.
namespace grapes::report {

/// A sentence as HTML: `name` becomes code.
std::string marked_up(const std::string& sentence);
/// A heading, a note below it unless that is empty, and what follows, as HTML; "" if nothing follows.
std::string section(const std::string& heading, const std::string& note, const std::string& body);
std::string figure(const std::string& caption, const std::string& picture);
/// Figures side by side, `small` ones closer; "" if there are none.
std::string figures(const std::string& all, bool small);
std::string list(const std::vector<std::string>& sentences);
/// A table that scrolls where it is too wide; all cells are HTML. The first row and the first column are headings.
std::string html_table(const std::vector<std::vector<std::string>>& rows);
/// Terms and what they mean, as HTML.
std::string definitions(const std::vector<std::pair<std::string, std::string>>& terms);
/// A line that opens `body` when it is clicked.
std::string folded(const std::string& line, const std::string& body);
/// The whole page, with its style. @param title, lead  plain text; `name` becomes code in the lead
std::string document(const std::string& title, const std::string& lead, const std::string& body);

}  // namespace grapes::report
