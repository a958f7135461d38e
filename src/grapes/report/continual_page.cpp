#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/report/continual.h"
#include "grapes/report/continual_plots.h"
#include "grapes/report/format.h"
#include "grapes/report/html.h"

#include <algorithm>

namespace grapes::report {
using record::Json;
using record::Run;
using svg::escape;
namespace {

/// An arm of one setting: its numbers and its runs.
struct Shown {
  Json numbers;
  Arm arm;
  bool is_rule() const { return numbers["method"] == "none"; }
};

std::vector<Shown> shown(const std::vector<Run>& runs, const Json& setting, const std::string& baseline) {
  std::vector<Shown> all;
  const std::vector<Arm> arms = arms_of(runs, baseline);
  for (const Json& numbers : setting["arms"]) {
    Arm arm = *std::find_if(arms.begin(), arms.end(), [&](const Arm& a) { return a.name == numbers["arm"]; });
    std::erase_if(arm.runs, [&](const Run* run) { return run->epochs.front()["learning_rate"] != numbers["rate"]; });
    all.push_back({numbers, std::move(arm)});
  }
  return all;
}

std::vector<std::string> names_of(const std::vector<Shown>& arms) {
  std::vector<std::string> names;
  for (const Shown& one : arms) names.push_back(one.arm.name);
  return names;
}

/// Those whose learning rule differs, no method beside it; all of them where there is no such arm.
std::vector<Shown> rules(std::vector<Shown> arms) {
  std::vector<Shown> kept = arms;
  std::erase_if(kept, [](const Shown& one) { return !one.is_rule(); });
  return kept.empty() ? arms : kept;
}

template <class Curves>
Chart chart(const std::string& id, const std::string& y_label, const std::vector<Shown>& arms, const Curves& curves) {
  Chart result;
  result.id = id;
  result.x_label = "tasks learnt";
  result.y_label = y_label;
  result.from_the_start = true;
  for (const Shown& one : arms) result.series.push_back({one.arm.name, curves(one.arm), {}});
  return result;
}

class ContinualPage {
 public:
  ContinualPage(const std::vector<Run>& runs, const Json& summary) : summary_(summary) {
    for (const Json& setting : summary["settings"]) settings_.push_back(shown(runs, setting, summary["baseline"]));
  }

  std::string text() {
    const Findings said = findings_continual(summary_);
    std::string body =
        "<p class=\"note\" style=\"margin-top:12px\">" + escape(set_up()) + "</p>" + listed(said.all) + "\n";
    for (std::size_t k = 0; k < settings_.size(); ++k) {
      const Styles styles(names_of(settings_[k]));
      const std::string title = summary_["settings"][k]["title"];
      body += section(escape(title), "",
                      listed(said.settings[k]) + "<div style=\"height:20px\"></div>" + table(k) + ends(k, styles));
      body += section("Accuracy on each task over time",
                      escape(title) +
                          ". Means over seeds, bands of one standard deviation; of each task from its own "
                          "turn on. At whole numbers on all test examples, between them on some.",
                      over_time(k, styles));
      body += methods(k);
      body += section("Accuracy on every task after every task",
                      escape(title) + ". Means over seeds and half the width of their 95 % intervals.",
                      matrices(k, styles));
      body += why(k);
    }
    return document(summary_["title"], said.lead, body + tuning() + reading() + configuration());
  }

 private:
  static std::string listed(const std::vector<std::string>& sentences) {
    std::string items;
    for (const std::string& sentence : sentences) items += "<li>" + marked_up(sentence) + "</li>";
    return items.empty() ? "" : "<ul class=\"findings\">" + items + "</ul>";
  }

  std::string set_up() const {
    return summary_["model"].get<std::string>() + " on " + count(summary_["tasks"].get<std::size_t>(), "task") + ", " +
           summary_["scenario"].get<std::string>() + " " + summary_["data"].get<std::string>() + ", " +
           count(summary_["epochs"].get<std::size_t>(), "epoch") + " each; the optimizer's state is " +
           summary_["optimizer_state"].get<std::string>() + " at the beginning of a task.";
  }

  static std::string cell(const Json& spread, bool sign) {
    if (!spread.is_object()) return "–";
    const double value = 100 * spread["mean"].get<double>();
    std::string text = sign ? with_sign(value, 2) : fixed(value, 2);
    if (spread["interval"].is_array())
      text += " ± " + fixed(50 * (spread["interval"][1].get<double>() - spread["interval"][0].get<double>()), 2);
    return text;
  }

  static std::string difference(const Json& arm, const std::string& measure) {
    if (!arm["differences"].is_object() || !arm["differences"].contains(measure)) return "–";
    const Json& d = arm["differences"][measure];
    if (!d["mean"].is_number()) return "–";
    std::string text = with_sign(100 * d["mean"].get<double>(), 2);
    if (d["interval"].is_array())
      text += " [" + with_sign(100 * d["interval"][0].get<double>(), 2) + ", " +
              with_sign(100 * d["interval"][1].get<double>(), 2) + "]";
    if (d["p_holm"].is_number()) text += ", p " + p_value(d["p_holm"]);
    return text;
  }

  static std::string scrolled(const std::string& head, const std::string& rows) {
    return "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>" + head + "</tr></thead><tbody>" + rows +
           "</tbody></table></div>";
  }

  std::string table(std::size_t k) const {
    std::string head = "<th scope=\"col\">arm</th><th scope=\"col\">n</th><th scope=\"col\">rate</th>", rows, meanings;
    for (const Measure& measure : measures()) {
      head += "<th scope=\"col\">" + measure.name + " %</th>";
      meanings += "<dt>" + measure.name + "</dt><dd>" + escape(measure.meaning) + "; " +
                  (measure.more_is_better ? "more" : "less") + " is better</dd>";
    }
    const std::string base = escape(summary_["baseline"]);
    head += "<th scope=\"col\">average accuracy against " + base + "</th><th scope=\"col\">forgetting against " + base +
            "</th>";
    for (const Shown& one : settings_[k]) {
      const Json& arm = one.numbers;
      rows += "<tr><th scope=\"row\">" + escape(one.arm.name) + "</th><td>" + arm["n"].dump() + "</td><td>" +
              shortest(arm["rate"].get<double>()) + "</td>";
      for (const Measure& measure : measures())
        rows += "<td>" + cell(arm[measure.key], measure.key.ends_with("transfer")) + "</td>";
      rows += "<td>" + difference(arm, "average_accuracy") + "</td><td>" + difference(arm, "forgetting") + "</td></tr>";
    }
    return scrolled(head, rows) +
           "<details style=\"margin-top:8px\"><summary>What the columns mean</summary><dl style=\"padding:0 16px\">" +
           meanings + "<dt>against " + base +
           "</dt><dd>mean of the paired differences [95 % interval], and the p of the exact "
           "Wilcoxon test after Holm’s correction over the arms</dd></dl></details>";
  }

  std::string ends(std::size_t k, const Styles& styles) const {
    std::vector<Json> arms;
    for (const Shown& one : settings_[k]) arms.push_back(one.numbers);
    return "<div style=\"height:16px\"></div>" +
           figure("<b>Average accuracy after the last task</b>",
                  average_plot(arms, styles)
                      .element("ends-" + std::to_string(k), "Average accuracy of each arm",
                               "A row for each arm: every seed, the mean and its interval."));
  }

  std::string over_time(std::size_t k, const Styles& styles) const {
    const std::size_t tasks = summary_["tasks"], most = 6;
    const std::vector<Shown> arms = rules(settings_[k]);
    std::string figures;
    for (std::size_t i = 0; i < std::min(tasks, most); ++i) {
      const std::size_t task = tasks <= most ? i : i * (tasks - 1) / (most - 1);
      const Chart c = chart("task-" + std::to_string(k) + "-" + std::to_string(task), "test accuracy, %", arms,
                            [&](const Arm& arm) { return task_curve(arm, task); });
      figures += figure(
          "<b>Task " + std::to_string(task + 1) + "</b>",
          line_chart(c, styles).element(c.id, "Accuracy on task " + std::to_string(task + 1), "A line for each arm."));
    }
    return "<div class=\"plots\">" + figures + "</div>";
  }

  /// A picture for each method: the baseline, the method, and both kinds of it with GRAPES.
  std::string methods(std::size_t k) const {
    std::vector<std::string> seen;
    std::string figures;
    for (const Shown& one : settings_[k]) {
      const std::string method = one.numbers["method"];
      if (method == "none" || std::find(seen.begin(), seen.end(), method) != seen.end()) continue;
      seen.push_back(method);
      std::vector<Shown> arms;
      for (const Shown& other : settings_[k])
        if (other.numbers["method"] == method ||
            (other.is_rule() && (other.arm.name == summary_["baseline"] || other.arm.name == "grapes")))
          arms.push_back(other);
      const Chart c = chart("method-" + std::to_string(k) + "-" + method, "mean test accuracy, %", arms, average_curve);
      figures += figure("<b>" + escape(method) + "</b>",
                        line_chart(c, Styles(names_of(arms)))
                            .element(c.id, "Average accuracy with " + escape(method), "A line for each arm."));
    }
    if (figures.empty()) return "";
    return section("Methods against forgetting", "Mean accuracy on the tasks learnt so far.",
                   "<div class=\"plots\">" + figures + "</div>");
  }

  std::string matrices(std::size_t k, const Styles& styles) const {
    std::string figures;
    for (const Shown& one : settings_[k])
      figures += figure("<b>" + escape(one.arm.name) + "</b>",
                        heat_map(one.numbers, styles)
                            .element("matrix-" + std::to_string(k) + "-" + std::to_string(++pictures_),
                                     "Accuracies of " + escape(one.arm.name),
                                     "Rows: after which task; columns: accuracy on which task."));
    return "<div class=\"plots small\">" + figures + "</div>";
  }

  std::string why(std::size_t k) const {
    static const std::vector<std::pair<const char*, const char*>> columns = {
        {"weight_change", "weight change"},     {"overlap", "overlap"},
        {"overlap_size", "overlap of sizes"},   {"loss_increase", "loss increase"},
        {"factor_change", "factor and change"}, {"factor_loss_increase", "factor and loss increase"}};
    std::string head = "<th scope=\"col\">arm</th><th scope=\"col\">weight</th>", rows;
    for (const auto& [key, name] : columns) head += std::string("<th scope=\"col\">") + name + "</th>";
    for (const Shown& one : settings_[k])
      for (const Json& weight : one.numbers["why"]) {
        rows += "<tr><th scope=\"row\">" + escape(one.arm.name) + "</th><td>" + escape(weight["name"]) + "</td>";
        for (const auto& [key, name] : columns) {
          const Json& value = weight[key];
          std::string text = "–";
          if (value.is_object()) {
            text = with_sign(value["mean"].get<double>(), 3);
            if (value["interval"].is_array())
              text += " ± " + fixed((value["interval"][1].get<double>() - value["interval"][0].get<double>()) / 2, 3);
          }
          rows += "<td>" + text + "</td>";
        }
        rows += "</tr>";
      }
    return section(
        "Why",
        "Means over tasks, and over seeds with half the width of the 95 % interval. <b>Moved</b>: how far a task moved "
        "the weight, as a part of its norm. <b>Overlap</b>: cosine of the changes by successive tasks; of sizes: of "
        "their absolute values, 1 if the same weights moved. <b>Hurt</b>: by how much the change raised the loss on "
        "the tasks before. <b>Factor and change, factor and hurt</b>: rank correlation over the nodes of the factor "
        "(unclipped, from the weights before the task, in every arm) with how far the node’s weights moved, and with "
        "its part of the hurt.",
        scrolled(head, rows));
  }

  std::string tuning() const {
    const Json& tuning = summary_["tuning"];
    if (tuning.is_null()) return "";
    const std::vector<Shown>& arms = settings_.back();
    std::string figures;
    const auto add = [&](const std::string& caption, bool of_rules) {
      std::vector<std::string> names;
      for (const Shown& one : arms)
        if (one.is_rule() == of_rules) names.push_back(one.arm.name);
      if (names.empty()) return;
      const std::string id = of_rules ? "tuning-rules" : "tuning-methods";
      figures += figure("<b>" + caption + "</b>", tuning_chart(id, tuning, names, "accuracy", Styles(names))
                                                      .element(id, "Validation score against learning rate",
                                                               "A line for each arm, the chosen rate with a ring."));
    };
    add("Learning rules", true);
    add("Methods against forgetting", false);
    return section("Choice of the learning rates",
                   "Average accuracy on the validation examples of all tasks after the last one, mean of " +
                       count(tuning["seeds"], "seed") +
                       " that the comparison does not use; the ring marks the one chosen. A rate that diverged has no "
                       "point.",
                   "<div class=\"plots\">" + figures + "</div>");
  }

  std::string reading() const {
    return section(
        "How to read this",
        "Runs are paired by seed: the same tasks, initial weights and order of the examples. <code>uniform</code> "
        "gives every node its layer’s mean factor: what it shares with <code>grapes</code> is due to larger steps, not "
        "to telling nodes apart. <code>shuffled</code> deals the same factors to random nodes. <code>constant:2</code> "
        "doubles the error at every hidden layer, as the authors’ published notebook does. Whoever learns less has "
        "less to forget: forgetting is to be read beside learning accuracy, and average accuracy holds both. "
        "<code>joint</code> sees all tasks at once and has only an average accuracy. An interval that includes 0 does "
        "not show that there is no difference.",
        "");
  }

  std::string configuration() const {
    std::string body;
    for (const Shown& one : settings_.front()) {
      const Run& run = *one.arm.runs.front();
      body += "<details><summary>" + escape(one.arm.name) + ", seed " + std::to_string(run.identity.seed) +
              "</summary><pre>" + escape(run.config) + "</pre></details>";
    }
    return section("Configuration",
                   "The resolved configuration of each arm’s first run; <code>grapes run</code> accepts it. What the "
                   "tasks are is in each run’s <code>scenario.json</code>.",
                   body);
  }

  const Json& summary_;
  std::vector<std::vector<Shown>> settings_;
  mutable int pictures_ = 0;
};

}  // namespace

std::string html_continual(const std::vector<Run>& runs, const Json& summary) {
  return ContinualPage(runs, summary).text();
}

std::string picture_continual(const std::vector<Run>& runs, const Json& summary) {
  std::vector<svg::Drawing> left, right;
  std::vector<std::string> titles;
  double height = 24;
  for (const Json& setting : summary["settings"]) {
    const std::vector<Shown> arms = rules(shown(runs, setting, summary["baseline"]));
    const Styles styles(names_of(arms));
    std::vector<Json> numbers;
    for (const Shown& one : arms) numbers.push_back(one.numbers);
    Chart c = chart("first-" + std::to_string(left.size()), "accuracy on the first task, %", arms,
                    [](const Arm& arm) { return task_curve(arm, 0); });
    right.push_back(average_plot(numbers, styles));
    c.height = std::max(280.0, right.back().height());
    left.push_back(line_chart(c, styles));
    titles.push_back(summary["title"].get<std::string>() + ". " + setting["title"].get<std::string>());
    height += left.back().height() + 44;
  }
  svg::Drawing all(972, height);
  all.rectangle({0.5, 0.5}, all.width() - 1, all.height() - 1, "class=\"card\" rx=\"10\" stroke=\"var(--hair)\"");
  double y = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    all.text({20, y + 34}, titles[i], "class=\"heading\"");
    all.place(left[i], {16, y + 56});
    all.place(right[i], {496, y + 56});
    y += left[i].height() + 44;
  }
  return all.element("picture", summary["title"],
                     "Left: accuracy on the first task while it and the others are learnt, means over seeds with bands "
                     "of one standard deviation. Right: average accuracy on all tasks at the end, every seed, the mean "
                     "and its 95 % interval.",
                     plot_style());
}

std::filesystem::path write_continual(const std::vector<std::filesystem::path>& folders,
                                      const std::filesystem::path& out, const ContinualOptions& options) {
  const std::vector<Run> runs = record::load_all(folders);
  const Json summary = summarize_continual(runs, rates_of(folders, runs), options);
  write_file(out / "summary.json", summary.dump(2) + "\n");
  write_file(out / "picture.svg", picture_continual(runs, summary));
  write_file(out / "report.html", html_continual(runs, summary));
  return out / "report.html";
}

}  // namespace grapes::report
