#include "grapes/base/text.h"
#include "grapes/report/cells.h"
#include "grapes/report/format.h"
#include "grapes/report/html.h"
#include "grapes/report/plots.h"
#include "grapes/report/report.h"
#include "grapes/report/samples.h"

#include <algorithm>

namespace grapes::report {
using record::Json;
using record::Run;
using svg::escape;
namespace {

class Page {
 public:
  Page(const std::vector<Run>& runs, const Json& summary)
      : summary_(summary), arms_(arms_of(runs, summary["baseline"])), styles_(arm_names(arms_)) {}

  std::string text() {
    const std::vector<std::string> said = findings(summary_);
    std::string list;
    for (std::size_t i = 1; i < said.size(); ++i) list += "<li>" + marked_up(said[i]) + "</li>";
    return document(summary_["title"], said.front(),
                    "<ul class=\"findings\">" + list + "</ul>\n" + scores() + curves() + table() + tuning() +
                        factors() + norms() + activity() + samples() + reading() + configuration() + environment());
  }

 private:
  static std::vector<std::string> arm_names(const std::vector<Arm>& arms) {
    std::vector<std::string> names;
    for (const Arm& arm : arms) names.push_back(arm.name);
    return names;
  }

  std::string legend() const {
    std::string items;
    for (const Arm& arm : arms_)
      items += "<li><svg viewBox=\"0 0 28 8\" aria-hidden=\"true\"><line x1=\"0\" y1=\"4\" x2=\"28\" y2=\"4\" " +
               styles_.attributes(arm.name, "line") + "/></svg>" + escape(arm.name) + "</li>";
    return "<ul class=\"legend\">" + items + "</ul>";
  }

  /// A chart of all arms, or nothing if no run has these numbers.
  std::string chart(Chart chart, const std::string& caption, const std::string& key, const std::string& layer,
                    double factor) const {
    std::size_t points = 0;
    for (const Arm& arm : arms_) {
      Series series{arm.name, trained(arm, key, factor, layer), {}};
      points += series.curve.epoch.size();
      if (!series.curve.epoch.empty()) chart.series.push_back(std::move(series));
    }
    if (points == 0) return "";
    chart.x_label = "epoch";
    return figure(caption, line_chart(chart, styles_)
                               .element(chart.id, chart.y_label + " against epoch",
                                        "A line for each arm, its band one standard deviation over seeds."));
  }

  std::string scores() const {
    const std::string reference =
        arms_.size() > 1 ? " The broken line is the mean of <code>" + escape(summary_["baseline"]) + "</code>." : "";
    return section("Final scores",
                   "Small dots are seeds, the ring is their mean, the bar its 95 % interval (Student’s t)." + reference,
                   figure(summary_["stopped_early"] ? "<b>At the epoch that was best on validation data</b>"
                                                    : "<b>At the last epoch</b>",
                          dot_plot(summary_, styles_)
                              .element("scores", "Final score of each arm",
                                       "A row for each arm: every seed, the mean and its interval.")));
  }

  std::string curves() const {
    const std::string part = summary_["part"];
    const std::string score = summary_["score"];
    const Unit unit = unit_of(score);
    const auto of = [&](const std::string& id, const std::string& caption, const std::string& key,
                        const std::string& label, double factor) {
      Chart c;
      c.id = id;
      c.y_label = label;
      return chart(c, "<b>" + caption + "</b>", key, "", factor);
    };
    return section(
        "Learning curves",
        "Means over seeds; bands are one standard deviation to either side. Epoch 0, before training, is not "
        "drawn, and the first epochs of a long run may leave the picture.",
        "<div class=\"plots\">" +
            of("curve-score", "Score", part + "_" + score,
               part + " " + score_name(score) + (unit.suffix.empty() ? "" : ", %"), unit.factor) +
            of("curve-loss", "Training loss", "train_loss", "mean loss of the epoch", 1) + "</div>");
  }

  std::string table() const {
    const std::vector<Column> all = columns(summary_);
    std::string head, rows, meanings;
    for (const Column& column : all) {
      const std::size_t percent = column.name.rfind(" %");  // the sign stays with what it belongs to
      const std::string name =
          percent == std::string::npos ? column.name : std::string(column.name).replace(percent, 1, "\u00a0");
      head += "<th scope=\"col\">" + escape(name) + "</th>";
      meanings += "<dt>" + escape(column.name) + "</dt><dd>" + escape(column.meaning) + "</dd>";
    }
    for (const Json& arm : summary_["arms"]) {
      rows +=
          "<tr><th scope=\"row\"><span class=\"key " + color(arm["arm"]) + "\"></span>" + escape(arm["arm"]) + "</th>";
      for (std::size_t c = 1; c < all.size(); ++c) rows += "<td>" + escape(all[c].cell(arm)) + "</td>";
      rows += "</tr>";
    }
    return section("Numbers", "",
                   "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>" + head + "</tr></thead><tbody>" + rows +
                       "</tbody></table></div><details style=\"margin-top:8px\"><summary>What the columns "
                       "mean</summary><dl style=\"padding:0 16px\">" +
                       meanings + "</dl></details>");
  }

  /// The arm's color class alone.
  std::string color(const std::string& arm) const {
    const std::string attributes = styles_.attributes(arm, "");
    const std::size_t from = attributes.find('a', attributes.find('"'));
    return attributes.substr(from, attributes.find('"', from) - from);
  }

  std::string tuning() const {
    const Json& tuning = summary_["tuning"];
    if (tuning.is_null()) return "";
    return section("Choice of the learning rates",
                   "Validation score of each learning rate that was tried, mean of " + count(tuning["seeds"], "seed") +
                       " after " + count(tuning["epochs"], "epoch") +
                       "; the ring marks the one chosen. A rate that diverged has no point.",
                   figure("<b>Score on validation data</b>",
                          tuning_chart("tuning", tuning, arm_names(arms_), summary_["score"], styles_)
                              .element("tuning", "Validation score against learning rate",
                                       "A line for each arm, the chosen learning rate with a ring.")));
  }

  std::string factors() const {
    const auto low = lowest_factor(arms_);
    if (!low) return "";
    std::string figures;
    for (const Arm& arm : arms_)
      for (const std::string& layer : layers_of({arm})) {
        if (curve(arm, "factor.mean", layer).epoch.empty()) continue;
        const std::string what = "Factors of " + arm.name + " in " + layer_title(layer);
        figures += figure("<b>" + escape(arm.name) + "</b>, " + escape(layer_title(layer)),
                          factor_strip(arm, layer, *low, styles_)
                              .element("factor-" + std::to_string(++strips_), what,
                                       "For each epoch how many nodes have a factor near each value."));
      }
    return section("Modulation factors",
                   "How the factors of a layer’s nodes are distributed, epoch by epoch, over all seeds: the stronger "
                   "the color, the "
                   "more nodes. The line is the mean. A narrow strip is close to one constant for the layer.",
                   "<div class=\"plots small\">" + figures + "</div>");
  }

  std::string norms() const {
    std::string body;
    for (const auto& [key, name] : {std::pair<const char*, const char*>{"gradient_norm", "Norm of the gradient"},
                                    {"weight_norm", "Norm of the weights"}}) {
      std::string figures;
      for (const std::string& layer : layers_of(arms_)) {
        Chart c;
        c.id = std::string(key) + "-" + std::to_string(++strips_);
        c.y_label = "Euclidean norm";
        c.width = 300;
        c.height = 210;
        c.labels = false;
        c.logarithmic_y = std::string(key) == "gradient_norm";
        c.from_the_start = true;
        figures += chart(c, "<b>" + escape(layer_title(layer)) + "</b>", key, layer, 1);
      }
      if (!figures.empty())
        body += "<h3>" + std::string(name) + "</h3><div class=\"plots small\">" + figures + "</div>";
    }
    if (body.empty()) return "";
    return section(
        "Gradients and weights",
        "Per layer, means over seeds with bands of one standard deviation. The gradient is what the update rule "
        "sees, modulation included.",
        legend() + body);
  }

  std::string activity() const {
    std::string body;
    for (const auto& [key, name] :
         {std::pair<const char*, const char*>{"activity.rate", "Mean output of a layer’s neurons in a step"},
          {"activity.silent", "Part of the neurons that are silent: fewer than one spike in a thousand steps"},
          {"activity.saturated", "Part of the neurons that are saturated: spikes in more than 99 of 100 steps"}}) {
      std::string figures;
      for (const std::string& layer : layers_of(arms_)) {
        Chart c;
        c.id = "activity-" + std::to_string(++strips_);
        c.y_label = std::string(key) == "activity.rate" ? "mean output" : "part of the neurons";
        c.width = 300;
        c.height = 210;
        c.labels = false;
        c.from_the_start = true;
        figures += chart(c, "<b>" + escape(layer_title(layer)) + "</b>", key, layer, 1);
      }
      if (!figures.empty())
        body += "<h3>" + std::string(name) + "</h3><div class=\"plots small\">" + figures + "</div>";
    }
    if (body.empty()) return "";
    return section("Activity of spiking layers",
                   "Per layer, on the last examples that were evaluated; means over seeds.", legend() + body);
  }

  /// Of each arm's first run.
  std::string samples() const {
    std::string figures, part;
    for (const Arm& arm : arms_) {
      const Run& run = *arm.runs.front();
      if (!run.samples.is_object()) continue;
      part = run.samples["part"];
      std::size_t pictures = 0;
      for (const Json& example : run.samples["examples"]) {
        if (++pictures > (arms_.size() > 1 ? 1U : 3U)) break;
        const std::string who = "<b>" + escape(arm.name) + "</b>, seed " + std::to_string(run.identity.seed) +
                                ", example " + example["example"].dump();
        const auto add = [&](const std::string& caption, const svg::Drawing& drawing) {
          figures +=
              figure(who + ": " + caption, drawing.element("sample-" + std::to_string(++strips_), caption, caption));
        };
        std::string said;
        if (example.contains("label"))
          said = ", label " + escape(example["label"]) + ", prediction " + escape(example["prediction"]);
        add("spikes" + said, raster(example, color(arm.name)));
        add("membranes of " + example["membranes"]["layer"].get<std::string>(), membranes(example, color(arm.name)));
        if (example.contains("roll"))
          add("what was played (outlines) and what was expected (color)", piano_roll(example["roll"], color(arm.name)));
      }
    }
    if (figures.empty()) return "";
    return section("What the network did",
                   "The first " + part + " examples after training; of wide layers every so-manieth neuron.",
                   "<div class=\"plots\">" + figures + "</div>");
  }

  std::string reading() const {
    static const std::vector<std::pair<const char*, const char*>> arms = {
        {"bp", "plain backpropagation: no modulation."},
        {"grapes", "every node’s error is multiplied by its modulation factor, and the modulated error travels on."},
        {"grapes-local", "the same factors, but only on the layer’s own update; the error travels on unmodulated."},
        {"uniform",
         "every node gets its layer’s mean factor: the same change of the learning rates, no difference between "
         "nodes."},
        {"shuffled",
         "the layer’s factors at random nodes, drawn anew each batch: the same distribution, not tied to the "
         "weights."},
        {"constant", "one fixed factor for every node."}};
    std::string list;
    for (const auto& [name, meaning] : arms)
      list += "<dt><code>" + std::string(name) + "</code></dt><dd>" + meaning + "</dd>";
    return section(
        "How to read this",
        "If <code>grapes</code> beats <code>bp</code> but not <code>uniform</code>, a larger learning rate "
        "per layer does as well. If it beats <code>uniform</code> but not <code>shuffled</code>, it is the "
        "unequal factors, not their tie to the weights. Runs are paired when they began alike: the same seed, "
        "initial weights, data, order of the samples and number of epochs. An interval that includes 0 does "
        "not show that there is no difference.",
        "<dl>" + list + "</dl>");
  }

  std::string configuration() const {
    std::string body;
    for (const Arm& arm : arms_) {
      const Run& run = *arm.runs.front();
      body += "<details><summary>" + escape(arm.name) + ", seed " + std::to_string(run.identity.seed) +
              "</summary><pre>" + escape(run.config) + "</pre></details>";
    }
    return section("Configuration",
                   "The resolved configuration of each arm’s first run; <code>grapes run</code> accepts it.", body);
  }

  std::string environment() const {
    const Json& first = arms_.front().runs.front()->env;
    if (!first.is_object() || first.empty()) return "";
    std::string list;
    for (const auto& [key, value] : first.items()) {
      const auto same = [&, &key = key, &value = value](const Arm& arm) {
        return std::all_of(arm.runs.begin(), arm.runs.end(),
                           [&](const Run* run) { return run->env.value(key, Json()) == value; });
      };
      const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
      list += "<dt>" + escape(key) + "</dt><dd>" + escape(text) +
              (std::all_of(arms_.begin(), arms_.end(), same) ? "" : " (not the same in all runs)") + "</dd>";
    }
    return section("Environment", "", "<dl>" + list + "</dl>");
  }

  const Json& summary_;
  std::vector<Arm> arms_;
  Styles styles_;
  mutable int strips_ = 0;
};

}  // namespace

std::string html(const std::vector<Run>& runs, const Json& summary, const Options&) {
  return Page(runs, summary).text();
}

}  // namespace grapes::report
