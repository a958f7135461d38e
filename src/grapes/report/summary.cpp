#include "grapes/base/text.h"
#include "grapes/report/arms.h"
#include "grapes/report/pairs.h"
#include "grapes/report/report.h"
#include "grapes/report/statistics.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace grapes::report {
using record::Json;
using record::Run;
namespace {

std::vector<Sample> samples(const Arm& arm, const std::string& key) {
  std::vector<Sample> all;
  for (const Run* run : arm.runs) all.push_back({run->identity.seed, run->identity.pairing, final_number(*run, key)});
  return all;
}

/// Runs that began alike: the same seed, and everything but the arm the same.
Json paired(const Arm& arm, const Arm& base, const std::string& key) {
  return paired(arm.name, samples(arm, key), base.name, samples(base, key));
}

/// Score against epoch of one run, from the first epoch of training on.
std::pair<std::vector<double>, std::vector<double>> trajectory(const Run& run, const std::string& key) {
  std::pair<std::vector<double>, std::vector<double>> points;
  for (const Json& row : run.epochs)
    if (const auto value = number(row, key); value && row["epoch"] > 0) {
      points.first.push_back(row["epoch"]);
      points.second.push_back(*value);
    }
  return points;
}

Json speed(const Arm& arm, const std::string& key, const Json& target) {
  std::vector<double> slowness, asymptote, to_target, seconds;
  for (const Run* run : arm.runs) {
    const auto [epoch, value] = trajectory(*run, key);
    if (const auto fit = plateau(epoch, value)) {
      slowness.push_back(fit->slowness);
      asymptote.push_back(fit->asymptote);
    }
    if (target.is_number())
      if (const auto reached = epochs_to(epoch, value, target)) to_target.push_back(*reached);
    std::vector<double> times;
    for (const Json& row : run->epochs)
      if (const auto time = number(row, "seconds"); time && row["epoch"] > 0) times.push_back(*time);
    if (!times.empty()) seconds.push_back(mean(times));
  }
  return {{"slowness", spread(slowness)},
          {"asymptote", spread(asymptote)},
          {"epochs_to_target", spread(to_target)},
          {"seconds_per_epoch", spread(seconds)}};
}

/// The factors in the last row: mean, spread among nodes and the smallest, averaged over the runs.
Json last_factors(const Arm& arm) {
  Json layers = Json::array();
  for (const std::string& name : layers_of({arm})) {
    std::vector<double> center, sd, lowest;
    for (const Run* run : arm.runs) {
      const Json& layer = layer_of(run->epochs.back(), name);
      if (!layer.contains("factor")) continue;
      const Json& factor = layer["factor"];
      const auto m = number(factor, "mean");
      const auto s = number(factor, "sd");
      const auto low = number(factor, "min");
      if (!m || !s || !low) continue;
      center.push_back(*m);
      sd.push_back(*s);
      lowest.push_back(*low);
    }
    if (!center.empty())
      layers.push_back({{"layer", name},
                        {"mean", mean(center)},
                        {"sd", mean(sd)},
                        {"min", *std::min_element(lowest.begin(), lowest.end())}});
  }
  return layers;
}

Json describe(const Arm& arm, const std::string& key) {
  std::vector<double> scores;
  std::vector<std::uint64_t> seeds;
  std::set<double> rates;
  std::set<std::int64_t> lengths;
  std::set<std::string> models, settings;
  for (const Run* run : arm.runs) {
    scores.push_back(final_number(*run, key));
    seeds.push_back(run->identity.seed);
    for (const Json& row : run->epochs)
      if (const auto rate = number(row, "learning_rate")) {
        rates.insert(*rate);
        break;
      }
    lengths.insert(run->epochs.back()["epoch"].get<std::int64_t>());
    models.insert(run->identity.model);
    settings.insert(run->identity.pairing);
  }
  Json result = spread(scores);
  result.update({{"arm", arm.name},
                 {"scores", scores},
                 {"seeds", seeds},
                 {"learning_rates", rates},
                 {"epochs", lengths},
                 {"models", models},
                 {"settings", settings},
                 {"factors", last_factors(arm)}});
  return result;
}

Json exclude(const std::vector<Run>& runs, const std::vector<Arm>& arms) {
  std::set<const Run*> counted;
  for (const Arm& arm : arms) counted.insert(arm.runs.begin(), arm.runs.end());
  Json excluded = Json::array();
  for (const Run& run : runs)
    if (!counted.contains(&run))
      excluded.push_back({{"arm", run.identity.arm},
                          {"seed", run.identity.seed},
                          {"run", run.folder.filename().string()},
                          {"state", to_string(run.status.state)},
                          {"epoch", run.status.epoch},
                          {"message", run.status.message}});
  return excluded;
}

/// What would make the numbers of one page mean different things.
void check_comparable(const std::vector<Arm>& arms) {
  const Run& first = *arms.front().runs.front();
  for (const Arm& arm : arms) {
    std::map<std::tuple<std::uint64_t, std::string>, const Run*> seen;
    for (const Run* run : arm.runs) {
      const auto same = [&](const char* what, const std::string& here, const std::string& there) {
        if (here != there)
          throw DataError("the runs cannot stand on one page: " + std::string(what) + " is " + there + " in " +
                          first.folder.string() + " and " + here + " in " + run->folder.string());
      };
      same("the score", run->identity.score, first.identity.score);
      same("the data set", run->identity.data, first.identity.data);
      const auto [other, fresh] = seen.try_emplace({run->identity.seed, run->identity.pairing}, run);
      if (!fresh)
        throw DataError("arm " + arm.name + ", seed " + std::to_string(run->identity.seed) +
                        " is there twice, from the same beginning: " + other->second->folder.string() + " and " +
                        run->folder.string() + "; name only one of them");
    }
  }
}

}  // namespace

Json summarize(const std::vector<Run>& runs, const Options& options) {
  const std::vector<Arm> arms = arms_of(runs, options.baseline);
  if (arms.empty())
    throw DataError("there is no finished run to report on: " + std::to_string(runs.size()) +
                    " read, all of them diverged, failed, interrupted, or still running");
  check_comparable(arms);
  const Run& first = *arms.front().runs.front();
  const std::string part = part_of(arms);
  const std::string key = score_key(arms, part);
  const Arm& base = arms.front();
  const bool early = std::any_of(runs.begin(), runs.end(), [](const Run& run) { return run.status.counts >= 0; });
  Json summary = {{"stopped_early", early},
                  {"title", options.title.empty() ? "Learning rules on " + first.identity.data : options.title},
                  {"score", first.identity.score},
                  {"part", part},
                  {"data", first.identity.data},
                  {"baseline", base.name},
                  {"confidence", 0.95},
                  {"tuning", options.tuning},
                  {"excluded", exclude(runs, arms)},
                  {"arms", Json::array()},
                  {"controls", Json::array()}};
  const double base_mean = describe(base, key)["mean"];
  summary["target_given"] = options.target != 0;
  summary["target"] = options.target != 0 ? Json(options.target) : base_mean > 0 ? Json(0.98 * base_mean) : Json();
  for (const Arm& arm : arms) {
    Json entry = describe(arm, key);
    entry.update(speed(arm, key, summary["target"]));
    entry["difference"] = &arm == &base ? Json() : paired(arm, base, key);
    for (const record::State state : {record::State::diverged, record::State::interrupted, record::State::failed})
      entry[to_string(state)] = std::count_if(runs.begin(), runs.end(), [&](const Run& run) {
        return run.identity.arm == arm.name && run.status.state == state;
      });
    summary["arms"].push_back(std::move(entry));
  }
  const auto grapes = std::find_if(arms.begin(), arms.end(), [](const Arm& a) { return a.name == "grapes"; });
  for (const Arm& arm : arms)
    if (grapes != arms.end() && (arm.name == "uniform" || arm.name == "shuffled"))
      summary["controls"].push_back(paired(*grapes, arm, key));
  std::vector<Json*> against_baseline, against_controls;
  for (Json& arm : summary["arms"])
    if (!arm["difference"].is_null()) against_baseline.push_back(&arm["difference"]);
  for (Json& comparison : summary["controls"]) against_controls.push_back(&comparison);
  correct(against_baseline);
  correct(against_controls);
  return summary;
}

}  // namespace grapes::report
