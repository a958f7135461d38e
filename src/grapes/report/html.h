#pragma once

#include "grapes/plot/svg.h"

#include <string>
#include <utility>
#include <vector>

/// What the pages are built of.
namespace grapes::report {

/// A sentence as HTML: `name` becomes code.
std::string marked_up(const std::string& sentence);
/// A heading that unfolds a note, unless that is empty, and `body`, as HTML; "" if there is no body.
std::string section(const std::string& heading, const std::string& note, const std::string& body, bool open = false);
/// @param caption  HTML; without its tags it also names the picture to those who do not see it
std::string figure(const std::string& caption, const plot::Drawing& drawing);
/// Figures side by side, `small` ones closer; "" if there are none.
std::string figures(const std::string& all, bool small = false);
std::string list(const std::vector<std::string>& sentences);

using Rows = std::vector<std::vector<std::string>>;
/// On a narrow screen, each row becomes a list of its cells. The first row and column are headings; cells are HTML.
std::string html_table(const Rows& rows);
/// Terms and what they mean, as HTML.
std::string definitions(const std::vector<std::pair<std::string, std::string>>& terms);
/// The whole page, with its style.
std::string document(const std::string& title, const std::string& body);

}  // namespace grapes::report
