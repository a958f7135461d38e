#include "grapes/base/text.h"
#include "grapes/plot/samples.h"
#include "grapes/report/arms.h"
#include "grapes/report/html.h"
#include "grapes/report/plots.h"
#include "grapes/report/report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace grapes::report {
using plot::escape;
using record::Json;
using record::Run;
namespace {

/// What is drawn of each layer, see record.h.
struct LayerPlots {
  const char* heading;
  const char* note;
  std::vector<std::pair<const char*, const char*>> keys;  ///< of a layer in a row, and its title
};
const std::vector<LayerPlots> layer_plots = {
    {"Gradients and weights",
     "Per layer, means over seeds with bands of one standard deviation. The gradient is what the update rule sees, "
     "modulation included.",
     {{"gradient_norm", "Norm of the gradient"}, {"weight_norm", "Norm of the weights"}}},
    {"Activity of spiking layers",
     "Per layer, on the last examples that were evaluated; means over seeds.",
     {{"activity.rate", "Mean output of a layer’s neurons in a step"},
      {"activity.silent", "Part of the neurons that are silent: fewer than one spike in a thousand steps"},
      {"activity.saturated", "Part of the neurons that are saturated: spikes in more than 99 of 100 steps"}}}};

std::vector<std::string> names_of(const std::vector<Arm>& arms) {
  std::vector<std::string> names;
  for (const Arm& arm : arms) names.push_back(arm.name);
  return names;
}

class Page {
 public:
  explicit Page(const Summary& summary) : summary_(summary), styles_(summary.arms) {}

  std::string text() {
    const Findings said = findings(summary_);
    std::vector<std::string> first = said.all;
    const bool alone = summary_.conditions.size() == 1 && summary_.swept.empty();
    if (alone) first.insert(first.begin(), said.conditions.front().begin(), said.conditions.front().end());
    std::string body = list(first);
    if (!summary_.swept.empty()) body += sweep();
    for (std::size_t k = 0; k < summary_.conditions.size() && summary_.swept.empty(); ++k) {
      condition_ = &summary_.conditions[k];
      if (!alone) body += section(escape(condition_->title), "", list(said.conditions[k]));
      body += scores() + curves() + numbers() + methods() + matrices() + weights() + tuning() + factors();
      for (const LayerPlots& plots : layer_plots) body += layers(plots);
      body += samples();
    }
    return document(summary_.title, said.lead, body + reading() + configuration() + environment());
  }

 private:
  const std::vector<Arm>& arms() const { return condition_->arms; }
  /// Ids are unique on the page.
  std::string id(const std::string& name) { return fmt::format("{}-{}", name, ++ids_); }

  std::string x_label() const { return summary_.tasks > 0 ? "tasks learned" : "epoch"; }

  std::string label(const std::string& arm) const {
    return fmt::format("<span class=\"key {}\"></span>{}", styles_.color(arm), escape(arm));
  }

  std::string lines(const std::string& caption, const Chart& chart) {
    if (chart.series.empty()) return "";
    return figure(caption, plot::line_chart(chart).element(chart.id, chart.y_label + " against " + chart.x_label,
                                                           "A line for each arm, with a band around it."));
  }

  std::string scores() {
    const std::string reference =
        arms().size() > 1 ? " The broken line is the mean of <code>" + escape(arms().front().name) + "</code>." : "";
    const std::string caption = summary_.tasks > 0       ? "Average accuracy after the last task"
                                : summary_.stopped_early ? "At the epoch that was best on validation data"
                                                         : "At the last epoch";
    return section(
        "Final scores", "Small dots are seeds, the ring is their mean, the bar its 95 % interval." + reference,
        figure("<b>" + caption + "</b>", dot_plot(arms(), summary_.primary(), styles_)
                                             .element(id("scores"), "Final score of each arm",
                                                      "A row for each arm: every seed, the mean and its interval.")));
  }

  std::string numbers() const {
    const std::vector<Column> columns = columns_of(summary_, *condition_);
    std::vector<std::vector<std::string>> rows(1 + arms().size());
    std::vector<std::pair<std::string, std::string>> meanings;
    for (const Column& column : columns) {
      std::string name = column.name;
      if (const std::size_t sign = name.rfind(" %"); sign != std::string::npos)
        name.replace(sign, 1, "\u00a0");  // the sign stays with what it belongs to
      rows[0].push_back(escape(name));
      meanings.emplace_back(escape(column.name), escape(column.meaning));
      for (std::size_t i = 0; i < arms().size(); ++i) {
        const std::string detail = column.detail ? column.detail(arms()[i]) : "";
        rows[i + 1].push_back((column.name == "arm" ? label(arms()[i].name) : escape(column.cell(arms()[i]))) +
                              (detail.empty() ? "" : "<small>" + escape(detail) + "</small>"));
      }
    }
    return section("Numbers", "", html_table(rows) + folded("What the columns mean", definitions(meanings)));
  }

  std::string curves() {
    std::string all;
    if (summary_.tasks == 0) {
      all = lines("<b>Score</b>", progress_chart(id("curve"), summary_, arms(), styles_)) +
            lines("<b>Training loss</b>", curve_chart(id("curve"), "epoch", "mean loss of the epoch", arms(), styles_,
                                                      1, [](const Run& run) { return row_points(run, "train_loss"); }));
      return section(
          "Learning curves",
          "Means over seeds; bands are one standard deviation to either side. Epoch 0, before training, is not drawn, "
          "and the first epochs of a long run may leave the picture.",
          figures(all, false));
    }
    constexpr std::size_t most = 6;
    for (std::size_t i = 0; i < std::min(summary_.tasks, most); ++i) {
      const std::size_t task = summary_.tasks <= most ? i : i * (summary_.tasks - 1) / (most - 1);
      all += lines(fmt::format("<b>Task {}</b>", task + 1),
                   progress_chart(id("task"), summary_, without_methods(*condition_), styles_, task));
    }
    return section(
        "Accuracy on each task over time",
        "Means over seeds, bands of one standard deviation; of each task from its own turn on. At whole numbers on "
        "all test examples, between them on some.",
        figures(all, false));
  }

  /// A picture for each method: the baseline, GRAPES, and the method with and without it.
  std::string methods() {
    std::set<std::string> all;
    std::string pictures;
    for (const Arm& arm : arms()) {
      if (arm.method == "none" || !all.insert(arm.method).second) continue;
      std::vector<Arm> shown;
      for (const Arm& other : arms())
        if (other.method == arm.method ||
            (other.method == "none" && (other.name == summary_.baseline || other.name == "grapes")))
          shown.push_back(other);
      Chart chart = curve_chart(id("method"), "tasks learned", "mean test accuracy, %", shown, Styles(names_of(shown)),
                                100, [](const Run& run) { return row_points(run, "test_accuracy"); });
      chart.from_the_start = true;
      pictures += lines("<b>" + escape(arm.method) + "</b>", chart);
    }
    return section("Methods against forgetting", "Mean accuracy on the tasks learned so far.",
                   figures(pictures, false));
  }

  std::string matrices() {
    std::string all;
    for (const Arm& arm : arms())
      if (summary_.tasks > 0)
        all += figure("<b>" + escape(arm.name) + "</b>",
                      heat_map(arm, styles_)
                          .element(id("matrix"), "Accuracies of " + arm.name,
                                   "Rows: after which task; columns: accuracy on which task."));
    return section("Accuracy on every task after every task",
                   "Means over seeds and half the width of their 95 % intervals.", figures(all, true));
  }

  std::string weights() const {
    std::vector<std::vector<std::string>> rows = {{"arm", "weight"}};
    for (const ChangeMeasure& measure : change_measures) rows[0].emplace_back(measure.name);
    for (const Arm& arm : arms())
      for (const WeightChange& weight : weight_changes(arm)) {
        rows.push_back({label(arm.name), escape(weight.name)});
        for (const Spread& spread : weight.values) {
          std::string text = spread.empty() ? "–" : with_sign(spread.mean, 3);
          if (spread.interval) text += " ± " + fixed((spread.interval->high - spread.interval->low) / 2, 3);
          rows.back().push_back(text);
        }
      }
    return section(
        "Why",
        "Means over tasks, and over seeds with half the width of the 95 % interval. <b>Weight change</b>: how far a "
        "task moved the weight, as a part of its norm. <b>Overlap</b>: cosine of the changes by successive tasks; of "
        "sizes: of their absolute values, 1 if the same weights moved. <b>Loss increase</b>: by how much the change "
        "raised the loss on the tasks before. <b>Factor and change, factor and loss increase</b>: rank correlation "
        "over the units of the factor (unclipped, from the weights before the task, in every arm) with how far the "
        "unit’s weights moved, and with its part of the loss increase.",
        rows.size() == 1 ? "" : html_table(rows));
  }

  std::string tuning() {
    const Json& tuning = condition_->tuning;
    if (tuning.is_null()) return "";
    std::string all;
    for (const bool of_rules : {true, false}) {
      std::vector<std::string> names;
      for (const Arm& arm : arms())
        if ((arm.method == "none") == of_rules) names.push_back(arm.name);
      const std::string name = id("tuning");
      if (!names.empty())
        all += figure(of_rules ? "<b>Learning rules</b>" : "<b>Methods against forgetting</b>",
                      plot::line_chart(tuning_chart(name, tuning, names, summary_.score, Styles(names)))
                          .element(name, "Validation score against learning rate",
                                   "A line for each arm, the chosen learning rate with a ring."));
    }
    return section(
        "Choice of the learning rates",
        fmt::format("Validation score of each learning rate that was tried{}, mean of {} that the comparison does not "
                    "use, after {}; the ring marks the one chosen. A rate that diverged has no point.",
                    summary_.tasks > 0 ? ", averaged over all tasks after the last one" : "",
                    count(tuning["seeds"], "seed"), count(tuning["epochs"], "epoch")),
        figures(all, false));
  }

  std::string factors() {
    const auto low = lowest_factor(arms());
    std::string all;
    for (const Arm& arm : arms())
      for (const std::string& layer : layers_of(arm.runs))
        if (low && !factor_curve(arm, layer).x.empty())
          all += figure("<b>" + escape(arm.name) + "</b>, " + escape(layer_title(layer)),
                        factor_strip(arm, layer, *low, x_label(), styles_)
                            .element(id("factor"), "Factors of " + arm.name + " in " + layer_title(layer),
                                     "For each epoch how many units have a factor near each value."));
    return section(
        "Modulation factors",
        "How the factors of a layer’s units are distributed, epoch by epoch, over all seeds: the stronger the color, "
        "the more units. The line is the mean. A narrow strip is close to one constant for the layer.",
        figures(all, true));
  }

  std::string layers(const LayerPlots& plots) {
    Runs runs;
    std::string legend, body;
    for (const Arm& arm : arms()) {
      runs.insert(runs.end(), arm.runs.begin(), arm.runs.end());
      legend += fmt::format(R"(<li><svg viewBox="0 0 28 8"><line y1="4" x2="28" y2="4" class="{}"/></svg>{}</li>)",
                            styles_.look("line", arm.name), escape(arm.name));
    }
    for (const auto& [key, title] : plots.keys) {
      const std::string name = key;
      const std::string y_label = name.ends_with("norm")   ? "Euclidean norm"
                                  : name.ends_with("rate") ? "mean output"
                                                           : "part of the neurons";
      std::string all;
      for (const std::string& layer : layers_of(runs)) {
        Chart chart = curve_chart(id("layer"), x_label(), y_label, arms(), styles_, 1,
                                  [&](const Run& run) { return row_points(run, name, layer); });
        chart.width = 300;
        chart.height = 210;
        chart.labels = false;
        chart.logarithmic_y = name == "gradient_norm";
        chart.from_the_start = true;
        all += lines("<b>" + escape(layer_title(layer)) + "</b>", chart);
      }
      if (!all.empty()) body += fmt::format("<h3>{}</h3>{}", title, figures(all, true));
    }
    return section(plots.heading, plots.note, body.empty() ? "" : "<ul class=\"legend\">" + legend + "</ul>" + body);
  }

  /// Of each arm's first run.
  std::string samples() {
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
                        drawing.element(id("sample"), caption, caption));
        };
        const std::string classes = example.contains("label")
                                        ? fmt::format(", label {}, prediction {}", example["label"].get<std::string>(),
                                                      example["prediction"].get<std::string>())
                                        : "";
        add("spikes" + classes, plot::raster(example, color));
        add("membranes of " + example["membranes"]["layer"].get<std::string>(), plot::membranes(example, color));
        if (example.contains("roll"))
          add("what was played (outlines) and what was expected (color)", plot::piano_roll(example["roll"], color));
      }
    }
    return section("What the network did",
                   "The first " + part + " examples after training; of wide layers, evenly spaced neurons.",
                   figures(all, false));
  }

  std::string sweep() {
    std::string numbers;
    for (const SweepTable& one : sweep_tables(summary_)) {
      auto rows = one.rows;
      for (auto& row : rows)
        for (std::string& cell : row) cell = escape(cell);
      numbers += fmt::format("<h3>{}</h3>{}", escape(one.title), html_table(rows));
    }
    return section("Scores and differences", "Means over seeds; bands are 95 % intervals.",
                   figures(lines("<b>Final scores</b>", sweep_chart(id("sweep"), summary_, styles_, false)) +
                               lines("<b>Paired differences</b>", sweep_chart(id("sweep"), summary_, styles_, true)),
                           false)) +
           section("Numbers",
                   "A change is a difference less the same difference at the first value, seed by seed: it tells "
                   "which arm loses more.",
                   numbers);
  }

  std::string reading() const {
    std::vector<std::pair<std::string, std::string>> meanings;
    for (const KnownArm& arm : known_arms)
      meanings.emplace_back("<code>" + std::string(arm.name) + "</code>", arm.meaning);
    const std::string of_tasks =
        " An arm that learns less has less to forget: read forgetting beside learning accuracy; average accuracy "
        "holds both. <code>joint</code> sees all tasks at once and has only an average accuracy.";
    return section(
        "How to read this",
        "If <code>grapes</code> beats <code>bp</code> but not <code>uniform</code>, a larger learning rate per layer "
        "does as well. If it beats <code>uniform</code> but not <code>shuffled</code>, it is the unequal factors, not "
        "their tie to the weights. Runs are paired when they began alike: the same seed, initial weights, data, order "
        "of the samples and number of epochs. An interval that includes 0 does not show that there is no difference." +
            (summary_.tasks > 0 ? of_tasks : std::string()),
        definitions(meanings));
  }

  /// The arms of the first condition that has some.
  const std::vector<Arm>& first_arms() const {
    return std::find_if(summary_.conditions.begin(), summary_.conditions.end(),
                        [](const Condition& one) { return !one.arms.empty(); })
        ->arms;
  }

  std::string configuration() const {
    std::string body;
    for (const Arm& arm : first_arms()) {
      const Run& run = *arm.runs.front();
      body += folded(fmt::format("{}, seed {}", escape(arm.name), run.identity.seed),
                     "<pre>" + escape(run.config) + "</pre>");
    }
    return section(
        "Configuration",
        "The resolved configuration of each arm’s first run; <code>grapes run</code> accepts it." +
            std::string(summary_.tasks > 0 ? " What the tasks are is in each run’s <code>scenario.json</code>." : ""),
        body);
  }

  std::string environment() const {
    const Json& first = first_arms().front().runs.front()->env;
    if (!first.is_object()) return "";
    std::vector<std::pair<std::string, std::string>> all;
    for (const auto& [key, value] : first.items()) {
      bool same = true;
      for (const Condition& condition : summary_.conditions)
        for (const Arm& arm : condition.arms)
          for (const RunPtr& run : arm.runs) same = same && run->env.value(key, Json()) == value;
      all.emplace_back(escape(key), escape(value.is_string() ? value.get<std::string>() : value.dump()) +
                                        (same ? "" : " (not the same in all runs)"));
    }
    return section("Environment", "", definitions(all));
  }

  const Summary& summary_;
  Styles styles_;
  const Condition* condition_ = nullptr;
  int ids_ = 0;
};

}  // namespace

std::string html(const Summary& summary) { return Page(summary).text(); }

}  // namespace grapes::report
