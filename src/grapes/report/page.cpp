#include "grapes/base/text.h"
#include "grapes/plot/samples.h"
#include "grapes/report/arms.h"
#include "grapes/report/html.h"
#include "grapes/report/plots.h"
#include "grapes/report/report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace grapes::report {
using plot::escape;
using record::Json;
using record::Run;
namespace {

/// Curves over epochs, of a row or of each of its layers, see record.h.
struct Curves {
  struct Key {
    const char *name, *title, *y_label;
  };
  const char *heading, *note;
  std::vector<Key> keys;
};
const std::vector<Curves> all_curves = {
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

class Page {
 public:
  explicit Page(const Summary& summary) : summary_(summary), styles_(summary.arms) {}

  std::string text() {
    const Findings found = findings(summary_);
    const bool several = summary_.conditions.size() > 1;
    std::string body = "<p class=\"lead\">" + marked_up(found.lead) + "</p>\n";
    if (!found.notice.empty()) body += "<p class=\"note notice\">" + marked_up(found.notice) + "</p>\n";
    if (!summary_.swept.empty()) body += sweep();
    for (std::size_t k = 0; k < summary_.conditions.size() && summary_.swept.empty(); ++k) {
      condition_ = &summary_.conditions[k];
      if (several)
        body += fmt::format("<h2 class=\"condition\">{}</h2><p class=\"lead\">{}</p>\n", escape(condition_->title),
                            marked_up(found.verdicts[k]));
      body += figures(scores() + progress()) +
              condition_section("Comparisons and tests", "", list(found.conditions[k])) + numbers() + tuning() +
              tasks() + matrices() + weights() + factors();
      for (const Curves& one : all_curves) body += curves(one);
      body += samples();
    }
    return document(summary_.title, body + section("Method and limits", "", list(found.all)) + reading() +
                                        configuration() + environment());
  }

 private:
  const std::vector<Arm>& arms() const { return condition_->arms; }

  /// A section on one condition, which its note names if it has a title.
  std::string condition_section(const std::string& heading, const std::string& note, const std::string& body) const {
    const std::string& title = condition_->title;
    return section(heading, title.empty() ? note : escape(title) + ". " + note, body);
  }

  std::string x_label() const { return summary_.tasks > 0 ? "tasks learned" : "epoch"; }

  std::string label(const std::string& arm) const {
    return fmt::format("<span class=\"key {}\"></span>{}", styles_.color(arm), escape(arm));
  }

  static std::string lines(const std::string& caption, const Chart& chart) {
    return chart.series.empty() ? "" : figure(caption, plot::line_chart(chart));
  }

  std::string scores() const {
    const std::string at = summary_.tasks > 0       ? "average accuracy after the last task"
                           : summary_.stopped_early ? "at the epoch that was best on validation data"
                                                    : "at the last epoch";
    const std::string reference =
        arms().size() > 1 ? " The broken line is the mean of <code>" + escape(arms().front().name) + "</code>." : "";
    return figure("<b>Final scores</b>: " + at +
                      ". Small dots are seeds, the ring is their mean, the bar its 95 % "
                      "interval." +
                      reference,
                  dot_plot(arms(), summary_.primary(), styles_));
  }

  std::string progress() const {
    return lines("<b>Learning curves</b>: " +
                     std::string(summary_.tasks > 0 ? "mean accuracy on the tasks learned so far, " : "") +
                     "means over seeds, bands of one standard deviation.",
                 progress_chart(summary_, arms(), styles_));
  }

  std::string numbers() const {
    Rows rows(1 + arms().size());
    std::vector<std::pair<std::string, std::string>> meanings;
    for (const Column& column : columns_of(summary_, *condition_)) {
      rows[0].push_back(escape(column.name));
      meanings.emplace_back(escape(column.name), escape(column.meaning));
      for (std::size_t i = 0; i < arms().size(); ++i) {
        const std::string detail = column.detail ? column.detail(arms()[i]) : "";
        rows[i + 1].push_back((column.name == "arm" ? label(arms()[i].name) : escape(column.cell(arms()[i]))) +
                              (detail.empty() ? "" : "<small>" + escape(detail) + "</small>"));
      }
    }
    return condition_section("Numbers", "", html_table(rows) + "<h3>Columns</h3>" + definitions(meanings));
  }

  std::string tasks() const {
    std::string all;
    constexpr std::size_t most = 6;
    for (std::size_t i = 0; i < std::min(summary_.tasks, most); ++i) {
      const std::size_t task = summary_.tasks <= most ? i : i * (summary_.tasks - 1) / (most - 1);
      all += lines(fmt::format("<b>Task {}</b>", task + 1),
                   progress_chart(summary_, without_methods(*condition_), styles_, task));
    }
    return condition_section("Accuracy on each task over time",
                             "Means over seeds, bands of one standard deviation, from the task’s own turn on. Whole "
                             "numbers are on all test examples, points between them on some.",
                             figures(all));
  }

  std::string matrices() const {
    std::string all;
    for (const Arm& arm : arms())
      if (summary_.tasks > 0) all += figure("<b>" + escape(arm.name) + "</b>", heat_map(arm, styles_));
    return condition_section("Accuracy on every task after every task",
                             "Means over seeds and half the width of their 95 % intervals.", figures(all, true));
  }

  std::string weights() const {
    Rows rows = {{"arm", "weight"}};
    for (const ChangeMeasure& measure : change_measures) rows[0].emplace_back(measure.name);
    for (const Arm& arm : arms())
      for (const WeightChange& weight : weight_changes(arm)) {
        rows.push_back({label(arm.name), escape(weight.name)});
        for (const Spread& spread : weight.values)
          rows.back().push_back(spread.empty() ? "–" : change_text(spread, {1, 3}));
      }
    return condition_section(
        "Weight changes",
        "Means over tasks and seeds, 95 % intervals over seeds in brackets. <b>Weight change</b>: norm of the change "
        "during a task, relative to the weight’s norm. <b>Overlap</b>: cosine between the changes in successive tasks; "
        "<b>overlap of sizes</b>: the same for absolute values, 1 if the same weights moved. <b>Loss increase</b>: how "
        "much the change raised the loss on earlier tasks. <b>Factor and change, factor and loss increase</b>: rank "
        "correlation over units between the factor (unclipped, from the weights before the task, in every arm) and "
        "how far the unit’s weights moved, or its part of the loss increase.",
        rows.size() == 1 ? "" : html_table(rows));
  }

  std::string tuning() const {
    const Json& tuning = condition_->tuning;
    if (tuning.is_null()) return "";
    std::string all;
    for (const bool of_rules : {true, false}) {
      std::vector<std::string> names;
      for (const Arm& arm : arms())
        if ((arm.method == "none") == of_rules) names.push_back(arm.name);
      all += lines(of_rules ? "<b>Learning rules</b>" : "<b>Methods against forgetting</b>",
                   tuning_chart(tuning, names, summary_.score, styles_));
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

  std::string factors() const {
    const auto low = lowest_factor(arms());
    std::string all;
    for (const Arm& arm : arms())
      for (const std::string& layer : layers_of(arm.runs))
        if (low && !factor_curve(arm, layer).x.empty())
          all += figure("<b>" + escape(arm.name) + "</b>, " + escape(layer),
                        factor_strip(arm, layer, *low, x_label(), styles_));
    return condition_section(
        "Modulation factors",
        "Distribution of the factors of a layer’s units by epoch, over all seeds: the stronger the color, the more "
        "units. The line is the mean. A narrow strip is close to one constant for the layer.",
        figures(all, true));
  }

  std::string curves(const Curves& curves) const {
    std::vector<std::string> layers = {""};
    std::string legend, body;
    for (const Arm& arm : arms()) {
      for (const std::string& layer : layers_of(arm.runs))
        if (std::find(layers.begin(), layers.end(), layer) == layers.end()) layers.push_back(layer);
      legend += fmt::format(R"(<li><svg viewBox="0 0 28 8"><line y1="4" x2="28" y2="4" class="{}"/></svg>{}</li>)",
                            styles_.look("line", arm.name), escape(arm.name));
    }
    for (const auto& [key, title, y_label] : curves.keys) {
      std::string all;
      for (const std::string& layer : layers) {
        Chart chart = curve_chart(x_label(), y_label, arms(), styles_, 1,
                                  [&, name = key](const Run& run) { return row_points(run, name, layer); });
        chart.width = 300;
        chart.height = 210;
        chart.labels = false;
        chart.logarithmic_y = key == std::string("gradient_norm");
        chart.from_the_start = true;
        all += lines("<b>" + escape(layer) + "</b>", chart);
      }
      if (!all.empty()) body += fmt::format("<h3>{}</h3>{}", title, figures(all, true));
    }
    return condition_section(curves.heading,
                             std::string(curves.note) + " Means over seeds, bands of one standard deviation.",
                             body.empty() ? "" : "<ul class=\"legend\">" + legend + "</ul>" + body);
  }

  /// Of each arm's first run.
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
        const auto add = [&](const std::string& caption, const plot::Drawing& drawing) {
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

  std::string sweep() const {
    std::string body = figures(lines("<b>Final scores</b>: means over seeds, bands are 95 % intervals.",
                                     sweep_chart(summary_, styles_, false)) +
                               lines("<b>Paired differences</b>: means over pairs, bands are 95 % intervals.",
                                     sweep_chart(summary_, styles_, true)));
    std::string numbers;
    for (auto& [title, rows] : sweep_tables(summary_)) {
      for (auto& row : rows)
        for (std::string& cell : row) cell = escape(cell);
      numbers += fmt::format("<h3>{}</h3>{}", escape(title), html_table(rows));
    }
    return body + section("Numbers",
                          "A change is a difference less the same difference at the first value, seed by seed: it "
                          "tells which arm loses more. The folder of each value has a report of its own.",
                          numbers);
  }

  std::string reading() const {
    std::vector<std::pair<std::string, std::string>> meanings;
    for (const KnownArm& arm : known_arms)
      meanings.emplace_back("<code>" + std::string(arm.name) + "</code>", arm.meaning);
    return section(
        "How to read this",
        "If <code>grapes</code> beats <code>bp</code> but not <code>uniform</code>, a larger learning rate per layer "
        "does as well. If it beats <code>uniform</code> but not <code>shuffled</code>, the gain is due to unequal "
        "factors, not to their tie to the weights. Runs are paired if they began alike: the same seed, initial "
        "weights, data, order of the examples and number of epochs. An interval that includes 0 does not show that "
        "there is no difference. Means whose intervals overlap can still differ, because paired runs share the "
        "effects of their seed." +
            std::string(summary_.tasks == 0 ? ""
                                            : " An arm that learns less has less to forget: read forgetting beside "
                                              "learning accuracy; average accuracy holds both. <code>joint</code> sees "
                                              "all tasks at once and has only an average accuracy."),
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
    const Json& first = summary_.first_run().env;
    if (!first.is_object()) return "";
    std::vector<std::pair<std::string, std::string>> all;
    for (const auto& [key, value] : first.items()) {
      const bool same = alike(summary_.runs(), [&, k = key](const Run& run) { return run.env.value(k, Json()); });
      all.emplace_back(escape(key), escape(value.is_string() ? value.get<std::string>() : value.dump()) +
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
