#include "grapes/experiment/sweep.h"

#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/experiment/run.h"
#include "grapes/report/sweep.h"

#include <fmt/format.h>

#include <set>
#include <vector>

namespace grapes::experiment {
namespace fs = std::filesystem;

Config at_value(Config config, double value) {
  const std::string text = std::exchange(config.compare.sweep, "");
  config.compare.sweep_values.clear();
  const std::size_t equals = text.find('='), place = text.find("{}", equals + 1);
  if (equals == std::string::npos || place == std::string::npos)
    throw UsageError("sweep = '" + text + "': takes KEY=TEXT with {} where the value goes, factor-bits={}");
  const std::string name = text.substr(0, equals);
  const Key& key = find_key(name);
  static const std::set<std::string> of_arms = {"route", "modulation", "method", "label", "seed"};
  if (key.group == "data" || key.group == "compare" || key.group == "continual" || of_arms.contains(name))
    throw UsageError("sweep: " + name +
                     " is the same for all of a comparison, or its arms say it themselves, so that it "
                     "cannot be swept");
  std::string whole = text.substr(equals + 1);
  whole.replace(place - equals - 1, 2, shortest(value));
  set(config, name, whole);
  return config;
}

Outcome sweep(const Config& config, const data::Splits& splits, const fs::path& folder, bool resume,
              const Overview& overview) {
  std::vector<std::pair<double, Config>> all;
  std::set<double> values;
  for (const double value : config.compare.sweep_values) {
    if (!values.insert(value).second) throw UsageError("sweep-values: " + shortest(value) + " stands there twice");
    all.emplace_back(value, at_value(config, value));
    check(all.back().second);
    for (const std::string& arm : config.compare.arms) check_possible(with_arm(all.back().second, arm), splits);
  }
  if (all.empty()) throw UsageError("sweep = '" + config.compare.sweep + "' needs sweep-values");
  std::error_code error;
  const fs::path own = folder / "config.toml";
  if (resume) {
    Config before;
    read_toml(before, own.string());
    if (lasting(before) != lasting(config))
      throw UsageError(folder.string() + " was begun with another configuration (see its config.toml)");
  } else {
    if (fs::exists(own, error)) throw DataError(folder.string() + " holds a record already: go on by --resume");
    write_file(own, to_toml(config));
  }

  std::vector<report::SweepPoint> points;
  bool any = false;
  Outcome outcome;
  for (const auto& [value, one] : all) {
    const fs::path here = folder / shortest(value);
    const Overview told = [&, &v = value](const Stage& stage) {
      if (!overview) return;
      Stage named = stage;
      named.what = fmt::format("at {} ({} of {}), {}", shortest(v), points.size() + 1, all.size(), stage.what);
      overview(named);
    };
    const Outcome at = compare(one, splits, here, resume && fs::exists(here / "compare.json", error), told);
    if (at.state == record::State::interrupted) return at;
    if (at.state == record::State::diverged) outcome.state = at.state;
    points.push_back({value, at.summary});
    any |= at.summary.is_object();
  }
  if (!any) return outcome;
  std::vector<std::string> arms;
  for (const std::string& arm : config.compare.arms) arms.push_back(with_arm(config, arm).arm);
  outcome.summary = report::summarize_sweep(config.compare.sweep, arms, points);
  outcome.report = folder / "report.html";
  write_file(folder / "summary.json", outcome.summary.dump(2) + "\n");
  write_file(folder / "sweep.svg", report::sweep_picture(outcome.summary));
  write_file(outcome.report, report::sweep_html(outcome.summary));
  return outcome;
}

}  // namespace grapes::experiment
