#include "grapes/report/sweep.h"

#include "grapes/base/text.h"
#include "grapes/report/format.h"
#include "grapes/report/html.h"
#include "grapes/report/pairs.h"
#include "grapes/report/plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace grapes::report {
using record::Json;

namespace {

const Json* arm_of(const Json& summary, const std::string& name) {
  for (const Json& arm : summary["arms"])
    if (arm["arm"] == name) return &arm;
  return nullptr;
}

std::vector<Sample> samples_by_seed(const Json& arm) {
  std::vector<Sample> all;
  for (std::size_t i = 0; i < arm["scores"].size(); ++i)
    all.push_back({arm["seeds"][i].get<std::uint64_t>(), "", arm["scores"][i].get<double>()});
  return all;
}

/// The differences of a pair, by seed.
std::vector<Sample> differences(const Json& pair) {
  std::vector<Sample> all;
  for (std::size_t i = 0; i < pair["each"].size(); ++i)
    all.push_back({pair["seeds"][i].get<std::uint64_t>(), "", pair["each"][i].get<double>()});
  return all;
}

/// Which arms are held against which.
std::vector<std::pair<std::string, std::string>> pairs_of(const Json& summary) {
  std::vector<std::pair<std::string, std::string>> pairs;
  const std::string baseline = summary["baseline"];
  for (const Json& arm : summary["arms"])
    if (arm["arm"] != baseline) pairs.emplace_back(arm["arm"], baseline);
  for (const Json& arm : summary["arms"]) {
    const std::string name = arm["arm"];
    if (name.ends_with("+grapes")) pairs.emplace_back(name, name.substr(0, name.size() - 7));
  }
  pairs.emplace_back("grapes", "uniform");
  std::erase_if(pairs, [&](const auto& pair) {
    return arm_of(summary, pair.first) == nullptr || arm_of(summary, pair.second) == nullptr;
  });
  return pairs;
}

double half_width(const Json& entry) {
  return entry["interval"].is_array() ? entry["interval"][1].get<double>() - entry["mean"].get<double>() : 0.0;
}
/// " ± 1.20", where there is an interval: one run has none.
std::string margin(const Json& entry, const Unit& unit) {
  return entry["interval"].is_array() ? " ± " + unit.number(half_width(entry)) : "";
}

/// The most runs that an arm has at a value.
int most_runs(const Json& summary) {
  int most = 0;
  for (const Json& point : summary["points"])
    for (const Json& arm : point["arms"]) most = std::max(most, arm["n"].get<int>());
  return most;
}

/// Whether the rate chosen for an arm is the smallest or the largest of its grid, beyond which a better one may lie.
bool at_edge(const Json& tuning, const std::string& arm) {
  if (!tuning.is_object() || tuning["grid"].size() < 2) return false;
  const auto found = tuning["arms"].find(arm);
  if (found == tuning["arms"].end() || (*found)["tried"].empty()) return false;
  const auto [low, high] = std::minmax_element(tuning["grid"].begin(), tuning["grid"].end());
  return (*found)["chosen"] == *low || (*found)["chosen"] == *high;
}

/// The entry of one point, by what `same` says of it; null if it is not there.
template <class Same>
const Json* find(const Json& entries, const Same& same) {
  const auto found = std::find_if(entries.begin(), entries.end(), same);
  return found == entries.end() ? nullptr : &*found;
}

using Rows = std::vector<std::vector<std::string>>;

/// A row a name, a column a value. @param cell  of an entry of the point @param missing  where there is none
Rows rows_over(const Json& summary, const char* entries, const std::string& heading,
               const std::function<std::string(const Json& entry)>& name_of,
               const std::function<std::string(const Json& entry)>& cell, std::vector<std::string> names = {},
               const char* missing = "–") {
  Rows rows = {{heading}};
  for (const Json& point : summary["points"]) {
    rows[0].push_back(shortest(point["value"]));
    for (const Json& entry : point[entries])
      if (const std::string name = name_of(entry); std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(name);
  }
  for (const std::string& name : names) {
    rows.push_back({name});
    for (const Json& point : summary["points"]) {
      const Json* entry = find(point[entries], [&](const Json& one) { return name_of(one) == name; });
      rows.back().push_back(entry == nullptr ? missing : cell(*entry));
    }
  }
  return rows;
}

std::string name_of_arm(const Json& arm) { return arm["arm"]; }

Rows score_rows(const Json& summary) {
  const Unit unit = unit_of(summary["score"]);
  const int most = most_runs(summary);
  const auto cell = [&](const Json& arm) {
    const int n = arm["n"];
    return unit.number(arm["mean"]) + margin(arm, unit) + (n < most ? fmt::format(" (n = {})", n) : "");
  };
  return rows_over(summary, "arms", "arm", name_of_arm, cell, summary["arms"].get<std::vector<std::string>>(),
                   "diverged");
}

/// @param entries  pairs, or changes of them
Rows difference_rows(const Json& summary, const char* entries, const std::string& heading) {
  const Unit unit = unit_of(summary["score"]);
  const int most = most_runs(summary);
  const auto name = [](const Json& pair) {
    return pair["arm"].get<std::string>() + " − " + pair["against"].get<std::string>();
  };
  return rows_over(summary, entries, heading, name, [&](const Json& pair) {
    const bool shown = pair["p_holm"].is_number() && pair["p_holm"].get<double>() < 0.05;
    const int n = pair["n"];
    return unit.change(pair["mean"]) + margin(pair, unit) + (shown ? "*" : "") +
           (n < most ? fmt::format(" (n = {})", n) : "");
  });
}

std::string first_value(const Json& summary) { return shortest(summary["points"][0]["value"]); }
Rows change_rows(const Json& summary) {
  Rows rows = difference_rows(summary, "changes", "change since " + first_value(summary));
  for (std::vector<std::string>& row : rows) row.erase(row.begin() + 1);  // where nothing can have changed
  return rows;
}

Rows rate_rows(const Json& summary) {
  return rows_over(summary, "arms", "arm", name_of_arm, [](const Json& arm) {
    std::vector<std::string> each;
    for (const Json& rate : arm["learning_rates"]) each.push_back(shortest(rate));
    return join(each, ", ") + (arm["at_edge"].get<bool>() ? " (edge)" : "");
  });
}

/// What must be known of the rates, or "".
std::string of_edges(const Json& summary) {
  std::vector<std::string> where;
  for (const Json& point : summary["points"])
    for (const Json& arm : point["arms"])
      if (arm["at_edge"].get<bool>())
        where.push_back(arm["arm"].get<std::string>() + " at " + shortest(point["value"]));
  return where.empty()
             ? ""
             : "The learning rate chosen lies at the edge of the grid, and a better one may lie outside it, for " +
                   join(where, ", ") + ".";
}

/// The part of the key that changes: "weights=int{}" of "precision=weights=int{}:stochastic,error=int8".
std::string changing(const std::string& key) {
  const std::size_t place = key.find("{}"), before = key.find_last_of(",:", place), equals = key.find('=');
  const std::size_t begin = (before == std::string::npos ? equals : before) + 1;
  const std::string part = key.substr(begin, key.find_first_of(",:", place) - begin);
  return part == "{}" ? key : part;
}

std::string title_of(const Json& summary) {
  return summary["title"].get<std::string>() + ", by " + changing(summary["key"]);
}

Chart chart_of(const Json& summary, const std::string& id, const std::string& y_label) {
  Chart chart;
  chart.id = id;
  chart.x_label = changing(summary["key"]);
  chart.y_label = y_label;
  chart.from_the_start = true;
  for (const Json& point : summary["points"]) chart.x_ticks.push_back(point["value"]);
  std::sort(chart.x_ticks.begin(), chart.x_ticks.end());
  return chart;
}

/// Means and half widths of `entries` of each point, by rising value.
template <class Same>
Curve curve_over(const Json& summary, const char* entries, const Same& same) {
  const double factor = unit_of(summary["score"]).factor;
  std::vector<std::pair<double, const Json*>> found;
  for (const Json& point : summary["points"])
    if (const Json* entry = find(point[entries], same)) found.emplace_back(point["value"], entry);
  std::sort(found.begin(), found.end());
  Curve curve;
  for (const auto& [value, entry] : found) {
    curve.epoch.push_back(value);
    const double mean = (*entry)["mean"];
    curve.mean.push_back(factor * mean);
    curve.sd.push_back(factor * half_width(*entry));
  }
  return curve;
}

std::string html_table(const Rows& rows) {
  std::string text = "<table>";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const char* tag = i == 0 ? "th" : "td";
    text += "<tr>";
    for (const std::string& cell : rows[i]) text += fmt::format("<{0}>{1}</{0}>", tag, svg::escape(cell));
    text += "</tr>";
  }
  return text + "</table>";
}

std::string note(const Json& summary) {
  return fmt::format(
      "Means over n = {} runs ± half of the 95 % interval; * where Holm's correction, over all pairs of all values, "
      "leaves "
      "p below 0.05.",
      most_runs(summary));
}

}  // namespace

Json summarize_sweep(const std::string& key, const std::vector<std::string>& names,
                     const std::vector<SweepPoint>& points) {
  Json all = {{"key", key}, {"arms", names}, {"points", Json::array()}};
  for (const SweepPoint& point : points) {
    Json arms = Json::array(), pairs = Json::array(), changes = Json::array();
    if (point.summary.is_object()) {
      for (const char* same : {"score", "data", "title", "baseline", "part"})
        if (!all.contains(same)) all[same] = point.summary[same];
      for (const Json& arm : point.summary["arms"])
        arms.push_back({{"arm", arm["arm"]},
                        {"n", arm["n"]},
                        {"mean", arm["mean"]},
                        {"interval", arm["interval"]},
                        {"scores", arm["scores"]},
                        {"seeds", arm["seeds"]},
                        {"learning_rates", arm["learning_rates"]},
                        {"at_edge", at_edge(point.summary["tuning"], arm["arm"])},
                        {"diverged", arm["diverged"]}});
      for (const auto& [name, against] : pairs_of(point.summary))
        pairs.push_back(paired(name, samples_by_seed(*arm_of(point.summary, name)), against,
                               samples_by_seed(*arm_of(point.summary, against))));
    }
    for (const Json& pair : pairs) {
      if (all["points"].empty()) break;
      const Json* first = find(all["points"][0]["pairs"], [&](const Json& one) {
        return one["arm"] == pair["arm"] && one["against"] == pair["against"];
      });
      if (first != nullptr)
        changes.push_back(paired(pair["arm"], differences(pair), pair["against"], differences(*first)));
    }
    all["points"].push_back({{"value", point.value}, {"arms", arms}, {"pairs", pairs}, {"changes", changes}});
  }
  for (const char* entries : {"pairs", "changes"}) {
    std::vector<Json*> family;
    for (Json& point : all["points"])
      for (Json& pair : point[entries]) family.push_back(&pair);
    correct(family);
  }
  return all;
}

std::string sweep_table(const Json& summary) {
  std::string text = aligned(score_rows(summary)) + "\n" + aligned(difference_rows(summary, "pairs", "difference"));
  if (const Rows changes = change_rows(summary); changes.size() > 1) text += "\n" + aligned(changes);
  text += "\n" + note(summary) + "\n";
  if (const std::string edges = of_edges(summary); !edges.empty()) text += edges + "\n";
  return text;
}

std::string sweep_picture(const Json& summary) {
  const std::vector<std::string> names = summary["arms"];
  const Styles styles(names);
  const Unit unit = unit_of(summary["score"]);
  const std::string of = score_name(summary["score"]);
  Chart scores =
      chart_of(summary, "scores", summary["part"].get<std::string>() + " " + of + (unit.suffix.empty() ? "" : ", %"));
  Chart changes = chart_of(summary, "changes",
                           "difference to " + summary["baseline"].get<std::string>() +
                               (unit.difference.empty() ? "" : "," + unit.difference));
  for (const std::string& name : names) {
    const Curve level = curve_over(summary, "arms", [&](const Json& one) { return one["arm"] == name; });
    if (!level.epoch.empty()) scores.series.push_back({name, level, {}, true});
    const Curve change = curve_over(
        summary, "pairs", [&](const Json& one) { return one["arm"] == name && one["against"] == summary["baseline"]; });
    if (!change.epoch.empty()) changes.series.push_back({name, change, {}, true});
  }
  const svg::Drawing left = line_chart(scores, styles), right = line_chart(changes, styles);
  svg::Drawing all(972, left.height() + 88);
  all.rectangle({0.5, 0.5}, all.width() - 1, all.height() - 1, "class=\"card\" rx=\"10\" stroke=\"var(--hair)\"");
  const std::string title = title_of(summary);
  all.text({20, 34}, title, "class=\"heading\"");
  all.text({20, 58}, summary["key"], "class=\"small muted\"");
  all.place(left, {16, 78});
  all.place(right, {496, 78});
  return all.element("sweep", title,
                     "Left: final scores against the value. Right: paired differences to the baseline. Means over "
                     "seeds, bands are 95 % intervals.",
                     plot_style());
}

std::string sweep_html(const Json& summary) {
  const std::string title = title_of(summary);
  const Rows changes = change_rows(summary);
  return document(
      title,
      "The same comparison at each value of `" + summary["key"].get<std::string>() +
          "`; each value's own report lies in its folder.",
      section("Scores and differences", "Means over seeds; bands are 95 % intervals.",
              figure("", sweep_picture(summary))) +
          section("In numbers", note(summary),
                  html_table(score_rows(summary)) + html_table(difference_rows(summary, "pairs", "difference"))) +
          (changes.size() < 2
               ? ""
               : section("Who loses more",
                         "Each difference less the same difference at " + first_value(summary) + ", seed by seed.",
                         html_table(changes))) +
          section("Learning rates", of_edges(summary), html_table(rate_rows(summary))));
}

}  // namespace grapes::report
