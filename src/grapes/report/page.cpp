#include "grapes/base/text.h"
#include "grapes/plot/samples.h"
#include "grapes/report/plots.h"
#include "grapes/report/report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <regex>

namespace grapes::report {
extern const char* const page_style;  // page.css

using plot::escape;
using record::Json;
using record::Run;
namespace {

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
     "Over the units of a layer. With a standard deviation near 0, all units of the layer have about the same factor.",
     {{"factor.mean", "Mean of the factors", "factor"},
      {"factor.sd", "Standard deviation of the factors", "standard deviation"},
      {"factor.min", "Smallest factor", "factor"}}},
    {"Training loss", "Mean loss of an epoch, from epoch 1 on.", {{"train_loss", "", "loss"}}},
    {"Gradients and weights",
     "The gradient is the one that the optimizer receives, so it includes the modulation.",
     {{"gradient_norm", "Norm of the gradient", "Euclidean norm"},
      {"weight_norm", "Norm of the weights", "Euclidean norm"}}},
    {"Alignment with backpropagation",
     "On one training batch, recorded by <code>record-alignment</code>. Two gradients in the same direction have an "
     "angle "
     "of 0°, unrelated ones 90°.",
     {{"alignment.transport", "Between the gradient on the rule’s route and that of backpropagation", "angle, degrees"},
      {"alignment.modulation", "Between the gradient with and without modulation", "angle, degrees"},
      {"alignment.feedback", "Between the weights W and the feedback weights B", "angle, degrees"},
      {"alignment.ratio", "Norm of B over norm of W", "ratio"}}},
    {"Dose of the modulation",
     "On one training batch, recorded by <code>record-dose</code>. At an angle of 0°, a modulation changes only the "
     "size "
     "of a layer’s steps.",
     {{"dose.angle", "Between the gradient with and without modulation, on the rule’s route", "angle, degrees"},
      {"dose.size", "Norm of the gradient with modulation over that without", "ratio"},
      {"dose.responsibility.cv", "Coefficient of variation of the responsibilities", "sd / mean"},
      {"update_norm", "Norm of the last update of an epoch", "Euclidean norm"}}},
    {"Activity of spiking layers",
     "On the last evaluated examples.",
     {{"activity.rate", "Mean output of a layer’s neurons per time step", "mean output"},
      {"activity.silent", "Silent neurons: fewer than one spike in 1000 time steps", "fraction of neurons"},
      {"activity.saturated", "Saturated neurons: spikes in more than 99 % of the time steps", "fraction of neurons"}}}};

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

/// Returns a folded part with a note and `body`; "" if there is no body.
std::string folded(const std::string& heading, const std::string& note, const std::string& body) {
  return body.empty() ? ""
                      : fmt::format("<details><summary><h2>{}</h2></summary>{}{}</details>\n", heading,
                                    note.empty() ? "" : "<p class=\"note\">" + note + "</p>", body);
}

class Page {
 public:
  explicit Page(const Summary& summary) : summary_(summary), colors_(colors_of(summary.arms)) {}

  std::string text() {
    const Findings found = findings(summary_);
    const std::vector<Section> sections = summary_.sections();
    std::string body = "<p class=\"lead\">" + marked_up(found.lead) + "</p>\n";
    if (!found.notice.empty()) body += "<p class=\"note notice\">" + marked_up(found.notice) + "</p>\n";
    for (std::size_t k = sections.size(); k-- > 0;) {  // the last one first, because the lead is its verdict
      condition_ = &sections[k].front();
      if (sections.size() > 1) body += fmt::format("<h2 class=\"condition\">{}</h2>", escape(condition_->title));
      if (k + 1 < sections.size())
        body += fmt::format("<p class=\"lead\">{}</p>\n", marked_up(found.sections[k].verdict));
      std::string pictures;
      for (const auto& [caption, drawing] : opening(summary_, sections[k], colors_))
        pictures += figure(caption, drawing);
      body += figures(pictures) + numbers(sections[k], found.sections[k].limits);
      if (!summary_.swept.empty()) break;
      body += tuning() + tasks() + matrices() + weights();
      for (const Curves& one : all_curves) body += curves(one);
      body += samples();
    }
    return fmt::format(
        R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{0}</title><style>{1}{2}</style></head><body><main>
<h1>{0}</h1>
{3}</main></body></html>
)",
        escape(summary_.title), plot::plot_style, page_style,
        body + folded("Method and limits", "", list(found.all)) + reading_guide() + configuration() + environment());
  }

 private:
  const std::vector<Arm>& arms() const { return condition_->arms; }
  /// Returns a folded part on one condition. Its note names the condition if it has a title.
  std::string of_condition(const std::string& heading, const std::string& note, const std::string& body) const {
    const std::string& title = condition_->title;
    return folded(heading, title.empty() ? note : escape(title) + ". " + note, body);
  }

  /// Returns a table with its terms; "" if it has no rows. On a narrow screen each row becomes a list of its cells. An
  /// interval is below its number, and the color of an arm before its name.
  std::string html_table(const Table& table, bool heat = false) const {
    if (table.rows.size() == 1) return "";
    std::string head, body;
    for (const std::string& cell : table.rows.front()) head += "<th scope=\"col\">" + escape(cell) + "</th>";
    for (std::size_t i = 1; i < table.rows.size(); ++i) {
      const std::string& name = table.rows[i].front();
      const auto color = colors_.find(name.substr(0, name.find(" at ")));
      body +=
          fmt::format("<tr><th scope=\"row\">{}{}</th>",
                      color == colors_.end() ? "" : "<span class=\"key " + color->second + "\"></span>", escape(name));
      for (std::size_t c = 1; c < table.rows[i].size(); ++c) {
        const std::string cell = escape(table.rows[i][c]);
        const std::size_t end = std::min(cell.find(" ["), cell.size());
        body +=
            fmt::format("<td data-label=\"{}\"{}><span>{}{}</span></td>", escape(table.rows[0][c]),
                        heat ? fmt::format(" class=\"heat\" style=\"--heat:{}%\"", cell.substr(0, end)) : "",
                        cell.substr(0, end), end < cell.size() ? "<small>" + cell.substr(end + 1) + "</small>" : "");
      }
      body += "</tr>";
    }
    return fmt::format("<div class=\"scroll\"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>{}", head,
                       body, definitions(table.terms));
  }

  std::string numbers(Section section, const std::vector<std::string>& limits) const {
    std::string body = list(limits);
    for (const Table& one : tables(summary_, section)) body += "<h3>" + escape(one.title) + "</h3>" + html_table(one);
    return of_condition("Numbers and tests",
                        summary_.swept.empty() ? "" : "The folder of each value contains a separate report.", body);
  }

  /// Curves and their captions.
  using Captioned = std::vector<std::pair<std::string, std::function<Points(const Run&)>>>;
  /// Returns small charts side by side, one for each of the curves that an arm has. They need a legend.
  std::string small_charts(const std::string& y_label, const Captioned& all, double factor, bool logarithmic) const {
    std::string charts;
    for (const auto& [caption, points] : all) {
      Chart chart = curve_chart(y_label, summary_, *condition_, colors_, factor, points);
      if (chart.series.empty()) continue;
      chart.width = 300;
      chart.height = 210;
      chart.legend = false;
      chart.logarithmic_y = logarithmic;
      charts += figure("<b>" + escape(caption) + "</b>", plot::line_chart(chart));
    }
    return figures(charts, true);
  }
  std::string legend() const {
    std::string items;
    for (const Arm& arm : arms())
      items += fmt::format(R"(<li><svg viewBox="0 0 28 8"><line y1="4" x2="28" y2="4" class="line {}"/></svg>{}</li>)",
                           colors_.at(arm.name), escape(arm.name));
    return "<ul class=\"legend\">" + items + "</ul>";
  }

  std::string tasks() const {
    Captioned all;
    constexpr std::size_t most = 6;
    for (std::size_t i = 0; i < std::min(summary_.tasks, most); ++i) {
      const std::size_t task = summary_.tasks <= most ? i : i * (summary_.tasks - 1) / (most - 1);
      all.emplace_back(fmt::format("Task {}", task + 1), [=](const Run& run) { return task_points(run, task); });
    }
    return of_condition(
        "Accuracy on each task over time",
        "Means over seeds, bands of one standard deviation, from the beginning of the task on. "
        "Points at whole numbers are scores on all test examples. Points between them are scores on some of "
        "these examples.",
        all.empty() ? "" : legend() + small_charts("accuracy, %", all, 100, false));
  }

  std::string matrices() const {
    std::string all;
    for (const Arm& arm : arms()) {
      const auto matrix = matrix_of(arm);
      Table table{"", {{"accuracy, %"}}};
      for (std::size_t i = 0; i < matrix.size(); ++i) {
        table.rows[0].push_back(fmt::format("task {}", i + 1));
        table.rows.push_back({fmt::format("after task {}", i + 1)});
        for (const Spread& spread : matrix[i]) table.rows.back().push_back(level_text(spread, {100, 1}));
      }
      if (!matrix.empty())
        all += fmt::format("<div class=\"{}\"><h3>{}</h3>{}</div>", colors_.at(arm.name), escape(arm.name),
                           html_table(table, true));
    }
    return of_condition("Accuracy on every task after every task", "Means over seeds and their 95 % intervals.", all);
  }

  std::string weights() const {
    return of_condition("Weight changes", "Means over tasks and seeds, 95 % intervals over seeds in brackets.",
                        html_table(part_table(*condition_, weight_changes)));
  }

  std::string tuning() const {
    const Json& tuning = condition_->tuning;
    if (tuning.is_null()) return "";
    std::string all;
    for (const bool of_rules : {true, false}) {
      std::vector<std::string> names;
      for (const Arm& arm : arms())
        if ((arm.method == "none") == of_rules) names.push_back(arm.name);
      if (const Chart chart = tuning_chart(*condition_, names, summary_.score, colors_); !chart.series.empty())
        all +=
            figure(of_rules ? "<b>Learning rules</b>" : "<b>Methods against forgetting</b>", plot::line_chart(chart));
    }
    return of_condition(
        "Choice of the learning rates",
        fmt::format("Validation score of each learning rate{}, mean of {} that the comparison does not use, after {}. "
                    "The ring marks the chosen rate. A triangle marks a score far below the picture; a rate that "
                    "diverged has no point.",
                    summary_.tasks > 0 ? ", averaged over all tasks after the last one" : "",
                    count(tuning["seeds"], "seed"), count(tuning["epochs"], "epoch")),
        figures(all) + html_table(tuning_table(*condition_, summary_.score)));
  }

  std::string curves(const Curves& curves) const {
    std::vector<std::string> layers = layers_of(condition_->counted());
    layers.insert(layers.begin(), "");  // the run itself
    std::string body;
    for (const auto& [key, title, y_label] : curves.keys) {
      Captioned of_layers;
      for (const std::string& layer : layers)
        of_layers.emplace_back(layer, [=, name = key](const Run& run) { return row_points(run, name, layer); });
      const std::string all = small_charts(y_label, of_layers, 1, key == std::string("gradient_norm"));
      if (!all.empty()) body += fmt::format("<h3>{}</h3>{}", title, all);
    }
    if (!body.empty()) body = legend() + body;
    if (&curves == &all_curves.front() && !body.empty())
      body = "<h3>At the end</h3>" + html_table(part_table(*condition_, layer_factors)) + body;
    return of_condition(curves.heading,
                        std::string(curves.note) + " Means over seeds, bands of one standard deviation.", body);
  }

  /// Returns the configuration of each arm's first run.
  std::string samples() const {
    std::string all, part;
    for (const Arm& arm : arms()) {
      const Run& run = *arm.runs.front();
      if (!run.samples.is_object()) continue;
      part = run.samples["part"];
      const std::string color = colors_.at(arm.name);
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
    return of_condition(
        "Activity on examples",
        "The first " + part + " examples after training; for wide layers, a selection of evenly spaced neurons.",
        figures(all));
  }

  std::string reading_guide() const {
    Terms meanings;
    for (const KnownArm& arm : known_arms) meanings.emplace_back(quoted(arm.name), arm.meaning);
    return folded(
        "How to read this",
        marked_up(
            "If `grapes` beats `bp` but not `uniform`, larger steps in each layer are enough to explain the gain. "
            "If it beats `uniform` but not `shuffled`, the gain comes from unequal factors, no matter which unit has "
            "which factor. Runs are paired if they have the same start: seed, initial weights, data, order of the "
            "examples and number of epochs. An interval that includes 0 does not show that there is no difference. "
            "Means whose intervals overlap can still differ, because paired runs share the effects of their seed." +
            std::string(summary_.tasks == 0
                            ? ""
                            : " An arm that learns less has less to forget, so read forgetting together with "
                              "learning accuracy; average accuracy depends on both. `joint` sees all "
                              "tasks at once and has only an average accuracy.")),
        definitions(meanings));
  }

  std::string configuration() const {
    std::string body;
    for (const Arm& arm : summary_.first_condition().arms)
      body += fmt::format("<details><summary>{}, seed {}</summary><pre>{}</pre></details>", escape(arm.name),
                          arm.runs.front()->identity.seed, escape(arm.runs.front()->config));
    return folded(
        "Configuration",
        "The resolved configuration of each arm’s first run; <code>grapes run</code> accepts it." +
            std::string(summary_.tasks > 0 ? " Each run’s <code>scenario.json</code> describes the tasks." : ""),
        body);
  }

  std::string environment() const {
    Terms all;
    for (const auto& [key, value] : summary_.first_run().env.items()) {
      const bool same = alike(summary_.runs(), [&, k = key](const Run& run) { return run.env.value(k, Json()); });
      all.emplace_back(key, (value.is_string() ? value.get<std::string>() : value.dump()) +
                                (same ? "" : " (not the same in all runs)"));
    }
    return folded("Environment", "", definitions(all));
  }

  const Summary& summary_;
  Colors colors_;
  const Condition* condition_ = nullptr;
};

}  // namespace

std::string html(const Summary& summary) { return Page(summary).text(); }

}  // namespace grapes::report
