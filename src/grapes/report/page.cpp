#include "grapes/base/text.h"
#include "grapes/plot/samples.h"
#include "grapes/report/plots.h"
#include "grapes/report/report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <regex>

namespace grapes::report {
using plot::escape;
using record::Json;
using record::Run;
namespace {

const char* const page_style = R"css(
*{box-sizing:border-box}:root{--page:#f7f8f9}@media(prefers-color-scheme:dark){:root{--page:#0f1216}}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.6 system-ui,-apple-system,"Segoe UI",sans-serif;
font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%;overflow-wrap:anywhere}
main{max-width:1080px;margin:0 auto;padding:48px 24px 72px}
h1{font-size:28px;line-height:1.2;margin:0 0 14px}h2{font-size:19px;margin:0}h3{font-size:15px;margin:20px 0 8px}
.lead{font-size:18px;line-height:1.55;max-width:46em;margin:0 0 8px}
.note{color:var(--muted);font-size:15px;max-width:50em;margin:0 0 14px}
.notice{border-left:3px solid var(--rule);padding-left:12px;margin:12px 0 0}
.findings{padding-left:1.1em;max-width:50em;margin:0;font-size:15px}.findings li{margin:0 0 8px}
code,pre{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}pre{margin:0 0 12px;overflow-x:auto}
code{background:color-mix(in srgb,var(--rule) 16%,transparent);border-radius:4px;padding:.08em .35em}
.plots{display:grid;gap:16px;grid-template-columns:repeat(auto-fill,minmax(min(100%,420px),1fr))}
.plots.small{grid-template-columns:repeat(auto-fill,minmax(min(100%,260px),1fr))}
figure{margin:0;padding:16px;background:var(--card);border:1px solid var(--hair);border-radius:10px;min-width:0}
figure>svg{display:block;width:100%;height:auto;max-width:620px;margin:0 auto}
figcaption{font-size:14px;color:var(--muted);margin:0 0 10px}figcaption b{color:var(--text);font-weight:600}
.condition{margin:48px 0 14px}.condition+.lead{font-size:16px}.lead+.plots,.notice+.plots{margin:24px 0}
details{border-top:1px solid var(--hair);padding:2px 0}main>details:last-of-type{border-bottom:1px solid var(--hair)}
summary{cursor:pointer;padding:10px 0}summary h2{display:inline;font-size:16px}main>details[open]{padding-bottom:20px}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:13.5px;width:100%;background:var(--card)}
th,td{padding:8px 7px;text-align:right;overflow-wrap:normal;border-bottom:1px solid var(--hair)}
td,tbody th{white-space:nowrap}tbody th{font-weight:600}th:first-child{text-align:left}
thead th{color:var(--muted);font-weight:500;vertical-align:bottom;line-height:1.35}
td small{display:block;color:var(--muted)}td.heat{background:color-mix(in srgb,var(--arm) calc(.5*var(--heat)),transparent)}
.key{display:inline-block;width:10px;height:10px;border-radius:3px;background:var(--arm);margin-right:8px}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 20px;padding:0;margin:0 0 12px;font-size:14px}
.legend svg{width:28px;height:8px;vertical-align:middle;margin-right:7px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:6px 20px;margin:12px 0;font-size:15px}
dt{font-weight:600}dd{margin:0;min-width:0}
@media(max-width:720px){main{padding:28px 16px 48px}h1{font-size:24px}.lead{font-size:17px}figure{padding:12px 10px}
.plots:not(.small) svg text{font-size:14.5px}.plots:not(.small) svg .small{font-size:14px}
dl{grid-template-columns:1fr;gap:2px}dd{margin-bottom:10px}
thead{display:none}table,tbody,tr,td,tbody th{display:block}tbody th{padding:10px 12px 4px;border:0}
tr{border-bottom:1px solid var(--hair);padding-bottom:6px}
td{display:flex;justify-content:space-between;gap:16px;padding:2px 12px;border:0;white-space:normal}
td::before{content:attr(data-label);color:var(--muted);text-align:left}}
@media print{body{background:none}figure,tr{break-inside:avoid}}
)css";

/// Curves over epochs, of a run or of each of its layers, see record.h.
struct Curves {
  struct Key {
    const char *name, *title, *y_label;
  };
  const char *heading, *note;
  std::vector<Key> keys;
};
const std::vector<Curves> all_curves = {
    {"Modulation factors",
     "Over the units of a layer. A standard deviation near 0 is one constant for the layer.",
     {{"factor.mean", "Mean of the factors", "factor"},
      {"factor.sd", "Standard deviation of the factors", "standard deviation"},
      {"factor.min", "Smallest factor", "factor"}}},
    {"Training loss", "Mean loss of an epoch, from epoch 1 on.", {{"train_loss", "", "loss"}}},
    {"Gradients and weights",
     "The gradient is what the optimizer sees, modulation included.",
     {{"gradient_norm", "Norm of the gradient", "Euclidean norm"},
      {"weight_norm", "Norm of the weights", "Euclidean norm"}}},
    {"Activity of spiking layers",
     "On the last evaluated examples.",
     {{"activity.rate", "Mean output of a layer’s neurons per step", "mean output"},
      {"activity.silent", "Silent neurons: fewer than one spike in a thousand steps", "fraction of neurons"},
      {"activity.saturated", "Saturated neurons: spikes in more than 99 of 100 steps", "fraction of neurons"}}}};

using Terms = std::vector<std::pair<std::string, std::string>>;

/// Returns a sentence as HTML; names in back quotes become code.
std::string marked_up(const std::string& sentence) {
  return std::regex_replace(escape(sentence), std::regex("`([^`]*)`"), "<code>$1</code>");
}

std::string list(const std::vector<std::string>& sentences) {
  std::string items;
  for (const std::string& sentence : sentences) items += "<li>" + marked_up(sentence) + "</li>";
  return items.empty() ? "" : "<ul class=\"findings\">" + items + "</ul>\n";
}

std::string definitions(const Terms& terms) {
  std::string text;
  for (const auto& [term, meaning] : terms)
    text += fmt::format("<dt>{}</dt><dd>{}</dd>", marked_up(term), marked_up(meaning));
  return text.empty() ? "" : "<dl>" + text + "</dl>";
}

/// @param caption  HTML; without its tags it is also the description for screen readers
std::string figure(const std::string& caption, const Drawing& drawing) {
  return fmt::format("<figure><figcaption>{}</figcaption>{}</figure>", caption,
                     drawing.element(std::regex_replace(caption, std::regex("<[^>]*>"), "")));
}

/// Returns figures side by side, `small` ones closer together; "" if there are none.
std::string figures(const std::string& all, bool small = false) {
  return all.empty() ? "" : fmt::format("<div class=\"plots{}\">{}</div>", small ? " small" : "", all);
}

/// Returns a folded section with a note and `body`; "" if there is no body.
std::string section(const std::string& heading, const std::string& note, const std::string& body) {
  return body.empty() ? ""
                      : fmt::format("<details><summary><h2>{}</h2></summary>{}{}</details>\n", heading,
                                    note.empty() ? "" : "<p class=\"note\">" + note + "</p>", body);
}

class Page {
 public:
  explicit Page(const Summary& summary) : summary_(summary), styles_(summary.arms) {}

  std::string text() {
    const Findings found = findings(summary_);
    std::string body = "<p class=\"lead\">" + marked_up(found.lead) + "</p>\n";
    if (!found.notice.empty()) body += "<p class=\"note notice\">" + marked_up(found.notice) + "</p>\n";
    for (std::size_t k = 0; k < summary_.conditions.size(); ++k) {
      condition_ = &summary_.conditions[k];
      if (summary_.swept.empty() && summary_.conditions.size() > 1)
        body += fmt::format("<h2 class=\"condition\">{}</h2><p class=\"lead\">{}</p>\n", escape(condition_->title),
                            marked_up(found.verdicts[k]));
      std::string pictures;
      for (const auto& [caption, drawing] : opening(summary_, *condition_, styles_))
        pictures += figure(caption, drawing);
      body += figures(pictures) + numbers(found.conditions[k]);
      if (!summary_.swept.empty()) break;
      body += tuning() + tasks() + matrices() + weights();
      for (const Curves& one : all_curves) body += curves(one);
      body += samples();
    }
    return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
           "content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\"><title>" +
           escape(summary_.title) + "</title><style>" + plot::plot_style() + page_style +
           "</style></head><body><main>\n<h1>" + escape(summary_.title) + "</h1>\n" + body +
           section("Method and limits", "", list(found.all)) + reading_guide() + configuration() + environment() +
           "</main></body></html>\n";
  }

 private:
  const std::vector<Arm>& arms() const { return condition_->arms; }
  /// Returns a section on one condition. Its note names the condition if it has a title.
  std::string condition_section(const std::string& heading, const std::string& note, const std::string& body) const {
    const std::string& title = condition_->title;
    return section(heading, title.empty() ? note : escape(title) + ". " + note, body);
  }

  /// Returns a table. On a narrow screen each row becomes a list of its cells. An interval is below its number, and the
  /// color of an arm before its name.
  std::string html_table(const std::vector<std::vector<std::string>>& rows, bool heat = false) const {
    std::string head, body;
    for (const std::string& cell : rows.front()) head += "<th scope=\"col\">" + escape(cell) + "</th>";
    for (std::size_t i = 1; i < rows.size(); ++i) {
      const std::string& name = rows[i].front();
      const std::string arm = name.substr(0, name.find(" at "));
      body +=
          fmt::format("<tr><th scope=\"row\">{}{}</th>",
                      styles_.has(arm) ? "<span class=\"key " + styles_.color(arm) + "\"></span>" : "", escape(name));
      for (std::size_t c = 1; c < rows[i].size(); ++c) {
        const std::string cell = escape(rows[i][c]);
        const std::size_t end = std::min(cell.find(" ["), cell.size());
        body +=
            fmt::format("<td data-label=\"{}\"{}><span>{}{}</span></td>", escape(rows[0][c]),
                        heat ? fmt::format(" class=\"heat\" style=\"--heat:{}%\"", cell.substr(0, end)) : "",
                        cell.substr(0, end), end < cell.size() ? "<small>" + cell.substr(end + 1) + "</small>" : "");
      }
      body += "</tr>";
    }
    return fmt::format("<div class=\"scroll\"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>", head,
                       body);
  }

  std::string numbers(const std::vector<std::string>& limits) const {
    std::string body = list(limits);
    for (const Table& one : tables(summary_, *condition_))
      body += "<h3>" + escape(one.title) + "</h3>" + html_table(one.rows) + definitions(one.terms);
    return condition_section("Numbers and tests",
                             summary_.swept.empty() ? "" : "The folder of each value contains a separate report.",
                             body);
  }

  /// Returns charts side by side with a common legend.
  std::string small_charts(std::vector<std::pair<std::string, Chart>> charts) const {
    std::string all;
    for (auto& [caption, chart] : charts) {
      if (chart.series.empty()) continue;
      chart.width = 300;
      chart.height = 210;
      chart.labels = false;
      chart.from_the_start = true;
      all += figure("<b>" + escape(caption) + "</b>", plot::line_chart(chart));
    }
    return figures(all, true);
  }
  std::string legend() const {
    std::string items;
    for (const Arm& arm : arms())
      items += fmt::format(R"(<li><svg viewBox="0 0 28 8"><line y1="4" x2="28" y2="4" class="{}"/></svg>{}</li>)",
                           styles_.look("line", arm.name), escape(arm.name));
    return "<ul class=\"legend\">" + items + "</ul>";
  }

  std::string tasks() const {
    std::vector<std::pair<std::string, Chart>> charts;
    constexpr std::size_t most = 6;
    for (std::size_t i = 0; i < std::min(summary_.tasks, most); ++i) {
      const std::size_t task = summary_.tasks <= most ? i : i * (summary_.tasks - 1) / (most - 1);
      charts.emplace_back(fmt::format("Task {}", task + 1),
                          curve_chart("accuracy, %", summary_, *condition_, styles_, 100,
                                      [&](const Run& run) { return task_points(run, task); }));
    }
    return condition_section("Accuracy on each task over time",
                             "Means over seeds, bands of one standard deviation, from the task’s own turn on. Whole "
                             "numbers are on all test examples, points between them on some.",
                             charts.empty() ? "" : legend() + small_charts(charts));
  }

  std::string matrices() const {
    std::string all;
    for (const Arm& arm : arms()) {
      const auto matrix = matrix_of(arm);
      std::vector<std::vector<std::string>> rows = {{"accuracy, %"}};
      for (std::size_t i = 0; i < matrix.size(); ++i) {
        rows[0].push_back(fmt::format("task {}", i + 1));
        rows.push_back({fmt::format("after task {}", i + 1)});
        for (const Spread& spread : matrix[i]) rows.back().push_back(level_text(spread, {100, 1}));
      }
      if (!matrix.empty())
        all += fmt::format("<div class=\"{}\"><h3>{}</h3>{}</div>", styles_.color(arm.name), escape(arm.name),
                           html_table(rows, true));
    }
    return condition_section("Accuracy on every task after every task", "Means over seeds and their 95 % intervals.",
                             all);
  }

  /// Returns a table with a row for each layer or weight of each arm.
  std::string parts(const std::string& what, const std::vector<PartNumber>& numbers,
                    const std::function<std::vector<Part>(const Arm&)>& of) const {
    std::vector<std::vector<std::string>> rows = {{"arm", what}};
    for (const PartNumber& number : numbers) rows[0].emplace_back(number.name);
    for (const Arm& arm : arms())
      for (const Part& part : of(arm)) {
        rows.push_back({arm.name, part.name});
        for (const PartNumber& number : numbers) {
          const Spread& spread = part.values.at(number.key);
          rows.back().push_back(spread.empty() ? "–" : level_text(spread, {1, 3}));
        }
      }
    return rows.size() == 1 ? "" : html_table(rows);
  }

  std::string weights() const {
    return condition_section(
        "Weight changes",
        "Means over tasks and seeds, 95 % intervals over seeds in brackets. <b>Weight change</b>: norm of the change "
        "during a task, relative to the weight’s norm. <b>Overlap</b>: cosine between the changes in successive tasks; "
        "<b>overlap of sizes</b>: the same for absolute values, 1 if the same weights moved. <b>Loss increase</b>: how "
        "much the change raised the loss on earlier tasks. <b>Factor and change, factor and loss increase</b>: rank "
        "correlation over units between the factor (unclipped, from the weights before the task, in every arm) and "
        "how far the unit’s weights moved, or its part of the loss increase.",
        parts("weight", change_numbers, weight_changes));
  }

  std::string tuning() const {
    const Json& tuning = condition_->tuning;
    if (tuning.is_null()) return "";
    std::string all;
    for (const bool of_rules : {true, false}) {
      std::vector<std::string> names;
      for (const Arm& arm : arms())
        if ((arm.method == "none") == of_rules) names.push_back(arm.name);
      if (const Chart chart = tuning_chart(*condition_, names, summary_.score, styles_); !chart.series.empty())
        all +=
            figure(of_rules ? "<b>Learning rules</b>" : "<b>Methods against forgetting</b>", plot::line_chart(chart));
    }
    return condition_section(
        "Choice of the learning rates",
        fmt::format("Validation score of each learning rate{}, mean of {} that the comparison does not use, after {}. "
                    "The ring marks the chosen rate. A triangle marks a score far below the picture; a rate that "
                    "diverged has no point.",
                    summary_.tasks > 0 ? ", averaged over all tasks after the last one" : "",
                    count(tuning["seeds"], "seed"), count(tuning["epochs"], "epoch")),
        figures(all));
  }

  std::string curves(const Curves& curves) const {
    std::vector<std::string> layers = {""};
    for (const Arm& arm : arms())
      for (const std::string& layer : layers_of(arm.runs))
        if (std::find(layers.begin(), layers.end(), layer) == layers.end()) layers.push_back(layer);
    std::string body;
    for (const auto& [key, title, y_label] : curves.keys) {
      std::vector<std::pair<std::string, Chart>> charts;
      for (const std::string& layer : layers) {
        charts.emplace_back(layer,
                            curve_chart(y_label, summary_, *condition_, styles_, 1,
                                        [&, name = key](const Run& run) { return row_points(run, name, layer); }));
        charts.back().second.logarithmic_y = key == std::string("gradient_norm");
      }
      if (const std::string all = small_charts(charts); !all.empty()) body += fmt::format("<h3>{}</h3>{}", title, all);
    }
    if (!body.empty()) body = legend() + body;
    if (&curves == &all_curves.front() && !body.empty())
      body = "<h3>At the end</h3>" + parts("layer", factor_numbers, final_factors) + body;
    return condition_section(curves.heading,
                             std::string(curves.note) + " Means over seeds, bands of one standard deviation.", body);
  }

  /// Returns the configuration of each arm's first run.
  std::string samples() const {
    std::string all, part;
    for (const Arm& arm : arms()) {
      const Run& run = *arm.runs.front();
      if (!run.samples.is_object()) continue;
      part = run.samples["part"];
      const std::string color = styles_.color(arm.name);
      std::size_t left = arms().size() > 1 ? 1 : 3;
      for (const Json& example : run.samples["examples"]) {
        if (left-- == 0) break;
        const auto add = [&](const std::string& caption, const Drawing& drawing) {
          all += figure(fmt::format("<b>{}</b>, seed {}, example {}: {}", escape(arm.name), run.identity.seed,
                                    example["example"].dump(), escape(caption)),
                        drawing);
        };
        add("spikes" + (example.contains("label")
                            ? fmt::format(", label {}, prediction {}", example["label"].get<std::string>(),
                                          example["prediction"].get<std::string>())
                            : ""),
            plot::raster(example, color));
        add("membranes of " + example["membranes"]["layer"].get<std::string>(), plot::membranes(example, color));
        if (example.contains("roll"))
          add("what was played (outlines) and what was expected (color)", plot::piano_roll(example["roll"], color));
      }
    }
    return condition_section("Activity on examples",
                             "The first " + part + " examples after training; of wide layers, evenly spaced neurons.",
                             figures(all));
  }

  std::string reading_guide() const {
    Terms meanings;
    for (const KnownArm& arm : known_arms) meanings.emplace_back(quoted(arm.name), arm.meaning);
    return section(
        "How to read this",
        marked_up(
            "If `grapes` beats `bp` but not `uniform`, a larger learning rate per layer does as well. If it beats "
            "`uniform` but not `shuffled`, the gain is due to unequal factors, not to their tie to the weights. Runs "
            "are paired if they began alike: the same seed, initial weights, data, order of the examples and number of "
            "epochs. An interval that includes 0 does not show that there is no difference. Means whose intervals "
            "overlap can still differ, because paired runs share the effects of their seed." +
            std::string(summary_.tasks == 0 ? ""
                                            : " An arm that learns less has less to forget: read forgetting beside "
                                              "learning accuracy; average accuracy holds both. `joint` sees all tasks "
                                              "at once and has only an average accuracy.")),
        definitions(meanings));
  }

  std::string configuration() const {
    std::string body;
    for (const Arm& arm : summary_.first_condition().arms)
      body += fmt::format("<details><summary>{}, seed {}</summary><pre>{}</pre></details>", escape(arm.name),
                          arm.runs.front()->identity.seed, escape(arm.runs.front()->config));
    return section(
        "Configuration",
        "The resolved configuration of each arm’s first run; <code>grapes run</code> accepts it." +
            std::string(summary_.tasks > 0 ? " What the tasks are is in each run’s <code>scenario.json</code>." : ""),
        body);
  }

  std::string environment() const {
    Terms all;
    for (const auto& [key, value] : summary_.first_run().env.items()) {
      const bool same = alike(summary_.runs(), [&, k = key](const Run& run) { return run.env.value(k, Json()); });
      all.emplace_back(key, (value.is_string() ? value.get<std::string>() : value.dump()) +
                                (same ? "" : " (not the same in all runs)"));
    }
    return section("Environment", "", definitions(all));
  }

  const Summary& summary_;
  Styles styles_;
  const Condition* condition_ = nullptr;
};

}  // namespace

std::string html(const Summary& summary) { return Page(summary).text(); }

}  // namespace grapes::report
