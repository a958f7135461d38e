#include "grapes/report/html.h"

#include "grapes/base/text.h"
#include "grapes/plot/chart.h"
#include "grapes/plot/svg.h"

#include <fmt/format.h>

namespace grapes::report {
using plot::escape;
namespace {

const char* const page_style = R"css(
*{box-sizing:border-box}:root{--page:#f7f8f9}@media(prefers-color-scheme:dark){:root{--page:#0f1216}}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.6 system-ui,-apple-system,"Segoe UI",sans-serif;
font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%}
main{max-width:1128px;margin:0 auto;padding:56px 24px 72px}
h1{font-size:30px;line-height:1.2;letter-spacing:-.015em;margin:0 0 16px}
h2{font-size:20px;letter-spacing:-.005em;margin:56px 0 6px}h3{font-size:15px;margin:24px 0 8px}
.lead{font-size:19px;line-height:1.55;max-width:44em;margin:0}.note{color:var(--muted);max-width:46em;margin:0 0 16px}
ul.findings{padding-left:1.1em;max-width:48em;margin:24px 0 0}ul.findings li{margin:0 0 8px}
ul.findings li::marker{color:var(--rule)}code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
p code,li code,td code,dt code,figcaption code{background:color-mix(in srgb,var(--rule) 16%,transparent);
border-radius:4px;padding:.08em .35em;white-space:nowrap}
.plots{display:grid;gap:16px;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr))}
.plots.small{grid-template-columns:repeat(auto-fill,minmax(min(100%,260px),1fr))}
figure{margin:0;padding:16px;background:var(--card);border:1px solid var(--hair);border-radius:10px;min-width:0}
figure svg{display:block;width:100%;height:auto;max-width:640px;margin:0 auto}section>figure{max-width:700px}
figcaption{font-size:14px;color:var(--muted);margin:0 0 10px}figcaption b{color:var(--text);font-weight:600}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--hair);border-radius:10px}
table{border-collapse:collapse;font-size:14px;width:100%}
th,td{padding:9px 9px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--hair)}
tbody tr:last-child>*{border-bottom:0}
thead th{color:var(--muted);font-weight:500;white-space:normal;vertical-align:bottom;line-height:1.35}
td small{display:block;color:var(--muted)}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--card)}tbody th{font-weight:600}
.key{display:inline-block;width:10px;height:10px;border-radius:3px;background:var(--arm);margin-right:8px}
ul.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 20px;padding:0;margin:0 0 12px;font-size:14px}
ul.legend svg{width:28px;height:8px;vertical-align:middle;margin-right:7px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:6px 20px;margin:12px 0;font-size:15px}dt{font-weight:600}
dd{margin:0;min-width:0;overflow-wrap:anywhere}
details{background:var(--card);border:1px solid var(--hair);border-radius:10px;margin:0 0 8px}
summary{cursor:pointer;padding:10px 16px;font-weight:500}details dl{padding:0 16px}.scroll+details{margin-top:8px}
.scroll,.note+figure,.plots{margin-bottom:16px}h3+.scroll{margin-top:0}
details pre{margin:0;padding:4px 16px 16px;overflow-x:auto;
font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
@media(max-width:560px){.plots:not(.small) svg text,section>figure svg text{
font-size:14.5px}.plots:not(.small) svg .small,section>figure svg .small{font-size:14px}main{padding:32px 16px 48px}h1{
font-size:25px}.lead{font-size:17px}figure{padding:12px 10px}dl{grid-template-columns:1fr;gap:2px}dd{
margin-bottom:10px}}
@media print{body{background:none}figure,details,.scroll{break-inside:avoid}}
)css";

}  // namespace

std::string marked_up(const std::string& sentence) {
  std::string result;
  bool inside = false;
  for (const std::string& piece : split(sentence, '`')) {
    result += inside ? "<code>" + escape(piece) + "</code>" : escape(piece);
    inside = !inside;
  }
  return result;
}

std::string section(const std::string& heading, const std::string& note, const std::string& body) {
  if (body.empty()) return "";
  return fmt::format("<section><h2>{}</h2>{}{}</section>\n", heading,
                     note.empty() ? "" : "<p class=\"note\">" + note + "</p>", body);
}

std::string figure(const std::string& caption, const std::string& picture) {
  return fmt::format("<figure><figcaption>{}</figcaption>{}</figure>", caption, picture);
}

std::string figures(const std::string& all, bool small) {
  return all.empty() ? "" : fmt::format("<div class=\"plots{}\">{}</div>", small ? " small" : "", all);
}

std::string list(const std::vector<std::string>& sentences) {
  std::string items;
  for (const std::string& sentence : sentences) items += "<li>" + marked_up(sentence) + "</li>";
  return items.empty() ? "" : "<ul class=\"findings\">" + items + "</ul>\n";
}

std::string html_table(const std::vector<std::vector<std::string>>& rows) {
  std::string head, body;
  for (const std::string& cell : rows.front()) head += "<th scope=\"col\">" + cell + "</th>";
  for (std::size_t i = 1; i < rows.size(); ++i) {
    body += "<tr><th scope=\"row\">" + rows[i].front() + "</th>";
    for (std::size_t c = 1; c < rows[i].size(); ++c) body += "<td>" + rows[i][c] + "</td>";
    body += "</tr>";
  }
  return fmt::format(
      "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>", head,
      body);
}

std::string definitions(const std::vector<std::pair<std::string, std::string>>& terms) {
  std::string text;
  for (const auto& [term, meaning] : terms) text += fmt::format("<dt>{}</dt><dd>{}</dd>", term, meaning);
  return text.empty() ? "" : "<dl>" + text + "</dl>";
}

std::string folded(const std::string& line, const std::string& body) {
  return fmt::format("<details><summary>{}</summary>{}</details>", line, body);
}

std::string document(const std::string& title, const std::string& lead, const std::string& body) {
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
         "content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\"><title>" +
         escape(title) + "</title><style>" + plot::plot_style() + page_style +
         "</style></head><body><main>\n<header><h1>" + escape(title) + "</h1><p class=\"lead\">" + marked_up(lead) +
         "</p></header>\n" + body + "</main></body></html>\n";
}

}  // namespace grapes::report
