#include "grapes/experiment/sweep.h"

#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/experiment/arms.h"
#include "grapes/experiment/key.h"
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

std::vector<Comparison> comparisons(const Config& config, const fs::path& folder) {
  std::vector<Comparison> all;
  if (!config.compare.sweep) {
    all.emplace_back(config, folder);
    return all;
  }
  std::set<double> values;
  for (const double value : config.compare.sweep_values) {
    if (!values.insert(value).second) throw UsageError("sweep-values: duplicate value " + shortest(value));
    Config one = at_value(config, value);
    check(one);
    all.emplace_back(std::move(one), folder / shortest(value));
  }
  if (all.empty()) throw UsageError("sweep of " + config.compare.sweep.key + " needs sweep-values");
  return all;
}

Outcome sweep(const Config& config, const data::Splits& splits, const fs::path& folder, Begin how,
              const Overview& overview, const Shard& shard) {
  std::vector<Comparison> all = comparisons(config, folder);
  for (const Comparison& one : all) one.check(splits);  // before anything is written
  std::error_code error;
  const fs::path own = folder / "config.toml";
  const bool exists = fs::exists(own, error);
  if (how == Begin::create && exists)
    throw DataError(folder.string() + " already contains a record: choose another folder or resume it");
  if (how == Begin::resume && !exists) throw DataError(folder.string() + " contains no sweep to resume");
  if (!create_file(own, to_toml(config))) check_same(config, folder);
  record::Json content = {{"key", find_key("sweep").get(config)},
                          {"values", config.compare.sweep_values},
                          {"smallest_effect", config.compare.smallest_effect}};
  for (const std::string& arm : config.compare.arms) content["arms"].push_back(with_arm(config, arm).arm);
  create_file(folder / "sweep.json", content.dump(2) + "\n");

  std::vector<Outcome> outcomes =
      carry_out(all, splits, folder, how == Begin::resume ? Begin::join : how, overview, shard);
  Outcome outcome = std::move(outcomes.front());
  if (outcomes.size() < all.size() || outcome.done < outcome.runs) return outcome;
  bool any = false;
  std::size_t runs = 0;
  for (const Outcome& at : outcomes) {
    if (at.state == record::State::diverged) outcome.state = at.state;
    any |= at.summary.has_value();
    runs += at.runs;
  }
  outcome.done = outcome.runs = runs;
  outcome.summary.reset();
  outcome.report.clear();
  if (!any) return outcome;
  outcome.summary = report::summarize(report::read({folder}));
  outcome.report = report::write(*outcome.summary, folder);
  return outcome;
}

}  // namespace grapes::experiment
