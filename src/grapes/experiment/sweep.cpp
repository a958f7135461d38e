#include "grapes/experiment/sweep.h"

#include "grapes/base/file.h"
#include "grapes/base/text.h"
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
  std::string whole = text.substr(equals + 1);
  whole.replace(place - equals - 1, 2, shortest(value));
  set(config, text.substr(0, equals), whole);
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
  }
  if (all.empty()) throw UsageError("sweep = '" + config.compare.sweep + "' needs sweep-values");
  std::error_code error;
  const fs::path own = folder / "config.toml";
  if (resume) {
    Config before;
    read_toml(before, own.string());
    if (to_toml(before) != to_toml(config))
      throw UsageError(folder.string() + " was begun with another configuration (see its config.toml)");
  } else {
    if (fs::exists(own, error)) throw DataError(folder.string() + " holds a record already: go on by --resume");
    write_file(own, to_toml(config));
  }

  std::vector<report::SweepPoint> points;
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
    if (at.exit == Exit::interrupted || at.exit == Exit::terminated) return at;
    if (at.exit == Exit::diverged) outcome.exit = Exit::diverged;
    if (at.summary.is_object()) points.push_back({value, at.summary});
  }
  if (points.empty()) return outcome;
  outcome.summary = report::summarise_sweep(config.compare.sweep, points);
  outcome.report = folder / "report.html";
  write_file(folder / "summary.json", outcome.summary.dump(2) + "\n");
  write_file(folder / "sweep.svg", report::sweep_picture(outcome.summary));
  write_file(outcome.report, report::sweep_html(outcome.summary));
  return outcome;
}

}  // namespace grapes::experiment
