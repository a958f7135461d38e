#include "grapes/experiment/sweep.h"

#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/experiment/arms.h"
#include "grapes/experiment/key.h"
#include "grapes/experiment/run.h"
#include "grapes/experiment/toml.h"
#include "grapes/report/report.h"

#include <fmt/format.h>

#include <set>
#include <utility>
#include <vector>

namespace grapes::experiment {
namespace fs = std::filesystem;

Config at_value(Config config, double value) {
  auto [key, text] = std::exchange(config.compare.sweep, {});
  config.compare.sweep_values.clear();
  set(config, key, text.replace(text.find("{}"), 2, shortest(value)));
  return config;
}

Outcome sweep(const Config& config, const data::Splits& splits, const fs::path& folder, bool resume,
              const Overview& overview) {
  std::vector<std::pair<double, Config>> all;
  std::set<double> values;
  for (const double value : config.compare.sweep_values) {
    if (!values.insert(value).second) throw UsageError("sweep-values: duplicate value " + shortest(value));
    all.emplace_back(value, at_value(config, value));
    check(all.back().second);
    for (const std::string& arm : config.compare.arms) check_possible(with_arm(all.back().second, arm), splits);
  }
  if (all.empty()) throw UsageError("sweep of " + config.compare.sweep.key + " needs sweep-values");
  std::error_code error;
  const fs::path own = folder / "config.toml";
  if (resume) {
    Config before;
    read_toml(before, own.string());
    if (lasting(before) != lasting(config))
      throw UsageError(folder.string() + " was started with another configuration (see its config.toml)");
  } else {
    if (fs::exists(own, error))
      throw DataError(folder.string() + " already contains a record: choose another folder or resume it");
    record::Json content = {{"key", find_key("sweep").get(config)}, {"values", config.compare.sweep_values}};
    for (const std::string& arm : config.compare.arms) content["arms"].push_back(with_arm(config, arm).arm);
    write_file(folder / "sweep.json", content.dump(2) + "\n");
    write_file(own, to_toml(config));
  }

  bool any = false;
  std::size_t nth = 0;
  Outcome outcome;
  for (const auto& [value, one] : all) {
    ++nth;
    const fs::path here = folder / shortest(value);
    const Overview told = [&, &v = value](const Stage& stage) {
      if (!overview) return;
      Stage named = stage;
      named.what = fmt::format("at {} ({} of {}), {}", shortest(v), nth, all.size(), stage.what);
      overview(named);
    };
    const Outcome at = compare(one, splits, here, resume && fs::exists(here / "compare.json", error), told);
    if (at.state == record::State::interrupted) return at;
    if (at.state == record::State::diverged) outcome.state = at.state;
    any |= at.summary.has_value();
  }
  if (!any) return outcome;
  outcome.summary = report::summarize(report::read({folder}));
  outcome.report = report::write(*outcome.summary, folder);
  return outcome;
}

}  // namespace grapes::experiment
