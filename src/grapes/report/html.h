#pragma once

#include <string>

/// What the pages are built of.
namespace grapes::report {

/// A sentence as HTML: `name` becomes code.
std::string marked_up(const std::string& sentence);
/// A heading, a note below it unless that is empty, and what follows, as HTML.
std::string section(const std::string& heading, const std::string& note, const std::string& body);
std::string figure(const std::string& caption, const std::string& picture);
/// The whole page, with its style. @param title, lead  plain text; `name` becomes code in the lead
std::string document(const std::string& title, const std::string& lead, const std::string& body);

}  // namespace grapes::report
