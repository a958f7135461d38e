#include "grapes/report/html.h"

#include "grapes/base/text.h"
#include "grapes/plot/chart.h"

#include <fmt/format.h>

#include <regex>

namespace grapes::report {
using plot::escape;
namespace {

const char* const page_style = R"css(
*{box-sizing:border-box}:root{--page:#f7f8f9}@media(prefers-color-scheme:dark){:root{--page:#0f1216}}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.6 system-ui,-apple-system,"Segoe UI",sans-serif;
font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%;overflow-wrap:anywhere}
main{max-width:1080px;margin:0 auto;padding:48px 24px 72px}
h1{font-size:28px;line-height:1.2;letter-spacing:-.015em;margin:0 0 14px}
h2{font-size:19px;letter-spacing:-.005em;margin:0}h3{font-size:15px;margin:20px 0 8px}
.lead{font-size:18px;line-height:1.55;max-width:46em;margin:0 0 8px}
.note{color:var(--muted);font-size:15px;max-width:50em;margin:0 0 14px}
.notice{border-left:3px solid var(--rule);padding-left:12px;margin:12px 0 0}
ul.findings{padding-left:1.1em;max-width:50em;margin:0;font-size:15px}ul.findings li{margin:0 0 8px}
ul.findings li::marker{color:var(--rule)}code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
p code,li code,td code,dt code,figcaption code{background:color-mix(in srgb,var(--rule) 16%,transparent);
border-radius:4px;padding:.08em .35em}
.plots{display:grid;gap:16px;grid-template-columns:repeat(auto-fill,minmax(min(100%,420px),1fr))}
.plots.small{grid-template-columns:repeat(auto-fill,minmax(min(100%,260px),1fr))}
figure{margin:0;padding:16px;background:var(--card);border:1px solid var(--hair);border-radius:10px;min-width:0}
figure>svg{display:block;width:100%;height:auto;max-width:620px;margin:0 auto}
figcaption{font-size:14px;color:var(--muted);margin:0 0 10px}figcaption b{color:var(--text);font-weight:600}
.condition{margin:48px 0 14px}.condition+.lead{font-size:16px}.lead+.plots,.notice+.plots{margin:24px 0}
section{margin:24px 0}section>h2{margin-bottom:6px}
details{border-top:1px solid var(--hair);padding:2px 0}main>details:last-of-type{border-bottom:1px solid var(--hair)}
summary{cursor:pointer;padding:10px 0}summary h2{display:inline;font-size:16px;font-weight:600}
details[open]{padding-bottom:20px}details details{margin:0}details details[open]{padding-bottom:4px}
table{border-collapse:collapse;font-size:13.5px;width:100%;background:var(--card);border:1px solid var(--hair)}
th,td{padding:8px 7px;text-align:right;overflow-wrap:normal;border-bottom:1px solid var(--hair)}
td,tbody th{white-space:nowrap}
thead th{color:var(--muted);font-weight:500;vertical-align:bottom;line-height:1.35}
td small{display:block;color:var(--muted)}th:first-child{text-align:left}tbody th{font-weight:600}
.scroll{overflow-x:auto}
.key{display:inline-block;width:10px;height:10px;border-radius:3px;background:var(--arm);margin-right:8px}
ul.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 20px;padding:0;margin:0 0 12px;font-size:14px}
ul.legend svg{width:28px;height:8px;vertical-align:middle;margin-right:7px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:6px 20px;margin:12px 0;font-size:15px}dt{font-weight:600}
dd{margin:0;min-width:0}
pre{margin:0;padding:4px 0 12px;overflow-x:auto;font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
@media(max-width:720px){main{padding:28px 16px 48px}h1{font-size:24px}.lead{font-size:17px}figure{padding:12px 10px}
.plots:not(.small) svg text{font-size:14.5px}.plots:not(.small) svg .small{font-size:14px}
dl{grid-template-columns:1fr;gap:2px}dd{margin-bottom:10px}
thead{display:none}table,tbody,tr,td,tbody th{display:block}tbody th{padding:10px 12px 4px;border:0}
tr{border-bottom:1px solid var(--hair);padding-bottom:6px}tr:last-child{border:0}
td{display:flex;justify-content:space-between;gap:16px;padding:2px 12px;border:0;white-space:normal}
td::before{content:attr(data-label);color:var(--muted);text-align:left}}
@media print{body{background:none}figure,tr{break-inside:avoid}}
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

std::string section(const std::string& heading, const std::string& note, const std::string& body, bool open) {
  if (body.empty()) return "";
  return fmt::format("<details{}><summary><h2>{}</h2></summary>{}{}</details>\n", open ? " open" : "", heading,
                     note.empty() ? "" : "<p class=\"note\">" + note + "</p>", body);
}

std::string figure(const std::string& caption, const plot::Drawing& drawing) {
  static const std::regex tag("<[^>]*>");
  return fmt::format("<figure><figcaption>{}</figcaption>{}</figure>", caption,
                     drawing.element(std::regex_replace(caption, tag, "")));
}

std::string figures(const std::string& all, bool small) {
  return all.empty() ? "" : fmt::format("<div class=\"plots{}\">{}</div>", small ? " small" : "", all);
}

std::string list(const std::vector<std::string>& sentences) {
  std::string items;
  for (const std::string& sentence : sentences) items += "<li>" + marked_up(sentence) + "</li>";
  return items.empty() ? "" : "<ul class=\"findings\">" + items + "</ul>\n";
}

std::string html_table(const Rows& rows) {
  std::string head, body;
  for (const std::string& cell : rows.front()) head += "<th scope=\"col\">" + cell + "</th>";
  for (std::size_t i = 1; i < rows.size(); ++i) {
    body += "<tr><th scope=\"row\">" + rows[i].front() + "</th>";
    for (std::size_t c = 1; c < rows[i].size(); ++c)
      body += fmt::format("<td data-label=\"{}\"><span>{}</span></td>", rows[0][c], rows[i][c]);
    body += "</tr>";
  }
  return fmt::format("<div class=\"scroll\"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>", head,
                     body);
}

std::string definitions(const std::vector<std::pair<std::string, std::string>>& terms) {
  std::string text;
  for (const auto& [term, meaning] : terms) text += fmt::format("<dt>{}</dt><dd>{}</dd>", term, meaning);
  return text.empty() ? "" : "<dl>" + text + "</dl>";
}

std::string document(const std::string& title, const std::string& body) {
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
         "content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\"><title>" +
         escape(title) + "</title><style>" + plot::plot_style() + page_style + "</style></head><body><main>\n<h1>" +
         escape(title) + "</h1>\n" + body + "</main></body></html>\n";
}

}  // namespace grapes::report
