#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/report/arms.h"
#include "grapes/report/continual.h"
#include "grapes/report/format.h"
#include "grapes/report/pairs.h"
#include "grapes/report/statistics.h"
#include "grapes/report/transfer.h"

#include <algorithm>
#include <map>
#include <set>

namespace grapes::report {
using record::Json;
using record::Run;
namespace {

using Matrix = std::vector<std::vector<double>>;

const Json& first_row(const Run& run) { return run.epochs.front(); }
bool learns_tasks(const Run& run) { return !run.epochs.empty() && first_row(run).contains("scenario"); }

/// Of a finished run: accuracy on task j after training on task i.
Matrix matrix_of(const Run& run) {
  Matrix R;
  for (std::size_t i = 1; i < run.epochs.size(); ++i)
    R.push_back(run.epochs[i].at("test_tasks").get<std::vector<double>>());
  return R;
}

std::map<std::string, double> measures_of(const Run& run) {
  const Transfer t = transfer(matrix_of(run), first_row(run).at("test_tasks").get<std::vector<double>>());
  return {{"average_accuracy", t.average_accuracy},
          {"learning_accuracy", t.learning_accuracy},
          {"forgetting", t.forgetting},
          {"backward_transfer", t.backward_transfer},
          {"forward_transfer", t.forward_transfer}};
}

std::vector<Sample> samples_of(const Arm& arm, const std::string& measure) {
  std::vector<Sample> all;
  for (const Run* run : arm.runs)
    all.push_back({run->identity.seed, run->identity.pairing, measures_of(*run).at(measure)});
  return all;
}

std::vector<double> values(const std::vector<Sample>& samples) {
  std::vector<double> all;
  for (const Sample& sample : samples) all.push_back(sample.value);
  return all;
}

/// Where batches come from all tasks at once, nothing is forgotten or handed on: only how it ends has a meaning.
bool is_joint(const Arm& arm) { return first_row(*arm.runs.front()).value("method", "") == "joint"; }
bool applies(const Arm& arm, const std::string& measure) { return !is_joint(arm) || measure == "average_accuracy"; }

/// Cell by cell over the seeds.
Json matrix(const Arm& arm) {
  std::vector<Matrix> all;
  for (const Run* run : arm.runs) all.push_back(matrix_of(*run));
  Json means = Json::array(), halves = Json::array();
  for (std::size_t i = 0; i < all.front().size(); ++i) {
    Json mean_row = Json::array(), half_row = Json::array();
    for (std::size_t j = 0; j < all.front().size(); ++j) {
      std::vector<double> cell;
      for (const Matrix& R : all) cell.push_back(R[i][j]);
      mean_row.push_back(mean(cell));
      const auto interval = mean_interval(cell);
      half_row.push_back(interval ? Json((interval->high - interval->low) / 2) : Json());
    }
    means.push_back(mean_row);
    halves.push_back(half_row);
  }
  return {{"mean", means}, {"half_width", halves}};
}

/// What the tasks did to each weight, the mean over a run's tasks, over the seeds.
Json why(const Arm& arm) {
  static const std::vector<std::string> keys = {"weight_change", "overlap",       "overlap_size",
                                                "loss_increase", "factor_change", "factor_loss_increase"};
  std::vector<std::string> names;
  std::map<std::pair<std::string, std::string>, std::vector<double>> seeds;
  for (const Run* run : arm.runs) {
    std::map<std::pair<std::string, std::string>, std::vector<double>> tasks;
    for (const Json& row : run->epochs) {
      const Json movement = row.value("forgetting", Json::object());
      for (const Json& weight : movement.value("weights", Json::array())) {
        const std::string name = weight.at("name");
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
        for (const std::string& key : keys)
          if (const auto value = number(weight, key))
            tasks[{name, key}].push_back(key == "weight_change" ? *value / weight.at("weight_norm").get<double>()
                                                                : *value);
      }
    }
    for (const auto& [key, x] : tasks) seeds[key].push_back(mean(x));
  }
  Json all = Json::array();
  for (const std::string& name : names) {
    Json entry = {{"name", name}};
    for (const std::string& key : keys) {
      const auto found = seeds.find({name, key});
      entry[key] = found == seeds.end() ? Json() : spread(found->second);
    }
    all.push_back(entry);
  }
  return all;
}

Json describe(const Arm& arm, const Arm& base) {
  std::vector<std::uint64_t> seeds;
  for (const Run* run : arm.runs) seeds.push_back(run->identity.seed);
  const Run& first = *arm.runs.front();
  Json entry = {{"arm", arm.name},
                {"method", first_row(first).value("method", "none")},
                {"rate", first_row(first)["learning_rate"]},
                {"n", arm.runs.size()},
                {"seeds", seeds},
                {"matrix", matrix(arm)},
                {"why", why(arm)},
                {"differences", Json::object()}};
  for (const Measure& measure : measures()) {
    const std::vector<Sample> own = samples_of(arm, measure.key);
    entry[measure.key] = applies(arm, measure.key) ? spread(values(own)) : Json();
    if (applies(arm, measure.key)) entry[measure.key]["each"] = values(own);
    if (&arm != &base && applies(arm, measure.key))
      entry["differences"][measure.key] = paired(arm.name, own, base.name, samples_of(base, measure.key));
  }
  if (&arm == &base) entry["differences"] = nullptr;
  return entry;
}

const Arm* find(const std::vector<Arm>& arms, const std::string& name) {
  const auto found = std::find_if(arms.begin(), arms.end(), [&](const Arm& arm) { return arm.name == name; });
  return found == arms.end() ? nullptr : &*found;
}

/// The comparisons that tell what is due to what.
Json controls(const std::vector<Arm>& arms) {
  std::vector<std::pair<std::string, std::string>> pairs = {
      {"grapes", "uniform"}, {"grapes", "shuffled"}, {"uniform", arms.front().name}};
  for (const Arm& arm : arms)
    if (arm.name.ends_with("+grapes")) pairs.emplace_back(arm.name, arm.name.substr(0, arm.name.size() - 7));
  Json all = Json::array();
  std::map<std::string, std::vector<std::size_t>> family;
  for (const auto& [one, other] : pairs) {
    const Arm* const a = find(arms, one);
    const Arm* const b = find(arms, other);
    if (a == nullptr || b == nullptr) continue;
    for (const std::string measure : {"average_accuracy", "forgetting"}) {
      if (!applies(*a, measure)) continue;
      all.push_back(paired(one, samples_of(*a, measure), other, samples_of(*b, measure)));
      all.back()["measure"] = measure;
      family[measure].push_back(all.size() - 1);
    }
  }
  for (const auto& [measure, places] : family) {
    std::vector<Json*> members;
    for (const std::size_t place : places) members.push_back(&all[place]);
    correct(members);
  }
  return all;
}

Json setting(const std::vector<Run>& runs, const Json& rates, const std::string& name, const std::string& title,
             const std::string& baseline) {
  std::vector<Arm> arms = arms_of(runs, baseline);
  for (Arm& arm : arms)
    std::erase_if(arm.runs, [&](const Run* run) { return first_row(*run)["learning_rate"] != rates.at(arm.name); });
  std::erase_if(arms, [](const Arm& arm) { return arm.runs.empty(); });
  if (arms.empty()) return nullptr;
  Json result = {{"name", name}, {"title", title}, {"arms", Json::array()}, {"controls", controls(arms)}};
  for (const Arm& arm : arms) result["arms"].push_back(describe(arm, arms.front()));
  for (const Measure& measure : measures()) {
    std::vector<Json*> family;
    for (Json& arm : result["arms"])
      if (arm["differences"].is_object() && arm["differences"].contains(measure.key))
        family.push_back(&arm["differences"][measure.key]);
    correct(family);
  }
  return result;
}

std::string given_title(const Json& rates) {
  std::set<double> all;
  for (const auto& [arm, rate] : rates.items()) all.insert(rate.get<double>());
  return all.size() == 1 ? "Every arm at the learning rate " + shortest(*all.begin()) : "Learning rates as given";
}

Json excluded(const std::vector<Run>& runs) {
  Json all = Json::array();
  for (const Run& run : runs)
    if (run.status.state != record::State::finished)
      all.push_back({{"arm", run.identity.arm},
                     {"seed", run.identity.seed},
                     {"rate", run.epochs.empty() ? Json() : first_row(run)["learning_rate"]},
                     {"state", record::to_string(run.status.state)},
                     {"tasks", run.status.epoch},
                     {"message", run.status.message}});
  return all;
}

}  // namespace

const std::vector<Measure>& measures() {
  static const std::vector<Measure> all = {
      {"average_accuracy", "average accuracy", "on all tasks after the last one: (1/T) Σ R[T,j]", true},
      {"learning_accuracy", "learning accuracy", "on each task right after it: (1/T) Σ R[j,j]", true},
      {"forgetting", "forgetting", "from the best a task ever was to the end: (1/(T−1)) Σ (max R[i,j] − R[T,j])",
       false},
      {"backward_transfer", "backward transfer", "what later tasks did to earlier ones: (1/(T−1)) Σ (R[T,j] − R[j,j])",
       true},
      {"forward_transfer", "forward transfer",
       "what earlier tasks did for later ones: (1/(T−1)) Σ (R[j−1,j] − untrained[j])", true}};
  return all;
}

bool has_tasks(const std::vector<Run>& runs) {
  const auto count = std::count_if(runs.begin(), runs.end(), learns_tasks);
  const auto begun = std::count_if(runs.begin(), runs.end(), [](const Run& run) { return !run.epochs.empty(); });
  if (count != 0 && count != begun)
    throw DataError("the runs cannot stand on one page: some learn several tasks, some learn one");
  return count != 0;
}

Rates rates_of(const std::vector<std::filesystem::path>& folders, const std::vector<Run>& runs) {
  Rates rates{Json::object(), nullptr, nullptr};
  std::size_t tuned = 0;
  for (const auto& folder : folders) {
    const std::filesystem::path path = folder / "compare.json";
    if (!std::filesystem::is_regular_file(path)) continue;
    const Json content = Json::parse(read_file(path), nullptr, false);
    if (!content.is_object() || !content.contains("given_rates") || !content.contains("learning_rates") ||
        !content.contains("tuning"))
      throw DataError(path.string() + ": expected an object with 'given_rates', 'learning_rates' and 'tuning'");
    for (const auto& [arm, rate] : content["given_rates"].items()) {
      if (rates.given.contains(arm) && rates.given[arm] != rate)
        throw DataError(path.string() + ": arm " + arm + " has another learning rate than in the other folders");
      rates.given[arm] = rate;
    }
    if (content["tuning"].is_null()) continue;
    rates.chosen = content["learning_rates"];
    rates.tuning = content["tuning"];
    if (++tuned > 1) throw DataError("only one of the folders may have chosen its learning rates: name one at a time");
  }
  for (const Run& run : runs) {
    if (!learns_tasks(run)) continue;
    const std::string& arm = run.identity.arm;
    const Json& rate = first_row(run)["learning_rate"];
    if (!rates.given.contains(arm)) rates.given[arm] = rate;
    if (rates.given[arm] != rate && !(rates.chosen.is_object() && rates.chosen.value(arm, Json()) == rate))
      throw DataError("arm " + arm + " has runs at the learning rates " + rates.given[arm].dump() + " and " +
                      rate.dump() + ": name the folder of the comparison, whose compare.json tells them apart");
  }
  return rates;
}

Json summarize_continual(const std::vector<Run>& runs, const Rates& rates, const ContinualOptions& options) {
  const std::vector<Arm> arms = arms_of(runs, options.baseline);
  if (arms.empty())
    throw DataError("there is no finished run to report on: " + std::to_string(runs.size()) +
                    " read, all of them diverged, failed, interrupted, or still running");
  const Run& first = *arms.front().runs.front();
  const Json& start = first_row(first);
  const std::size_t tasks = start.at("test_tasks").size();
  for (const Arm& arm : arms)
    for (const Run* run : arm.runs)
      if (first_row(*run)["scenario"] != start["scenario"] || run->epochs.size() != tasks + 1 ||
          run->identity.data != first.identity.data)
        throw DataError("the runs cannot stand on one page: " + run->folder.string() +
                        " has other data, another scenario or another number of tasks than " + first.folder.string());
  const std::string scenario = start["scenario"];
  Json summary = {
      {"title",
       !options.title.empty() ? options.title : scenario + " " + first.identity.data + ", " + count(tasks, "task")},
      {"data", first.identity.data},
      {"model", first.identity.model},
      {"scenario", scenario},
      {"tasks", tasks},
      {"epochs", start.value("epochs", 1)},
      {"optimizer_state", start.value("optimizer_state", "reset")},
      {"baseline", arms.front().name},
      {"tuning", rates.tuning},
      {"excluded", excluded(runs)},
      {"settings", Json::array()}};
  const auto add = [&](const Json& setting) {
    if (!setting.is_null()) summary["settings"].push_back(setting);
  };
  add(setting(runs, rates.given, "given", given_title(rates.given), options.baseline));
  if (rates.chosen.is_object())
    add(setting(runs, rates.chosen, "chosen", "Each arm at its own best learning rate", options.baseline));
  return summary;
}

std::string table_continual(const Json& summary) {
  std::string text;
  const auto percent = [](const Json& x, bool sign) {
    if (!x.is_object()) return std::string("–");
    std::string cell = sign ? with_sign(100 * x["mean"].get<double>(), 2) : fixed(100 * x["mean"].get<double>(), 2);
    if (x["n"] > 1) cell += " ± " + fixed(100 * x["sd"].get<double>(), 2);
    return cell;
  };
  for (const Json& setting : summary["settings"]) {
    std::vector<std::vector<std::string>> ends = {{"arm", "n", "rate", "average accuracy %",
                                                   "against " + summary["baseline"].get<std::string>() + " [95 %]", "p",
                                                   "Holm p"}};
    std::vector<std::vector<std::string>> ways = {
        {"arm", "learning acc. %", "forgetting", "backward", "forward transfer"}};
    for (const Json& arm : setting["arms"]) {
      const Json difference = arm["differences"].is_object() ? arm["differences"]["average_accuracy"] : Json();
      std::string change = "–", p = "–", corrected = "–";
      if (difference.is_object() && difference["mean"].is_number()) {
        change = with_sign(100 * difference["mean"].get<double>(), 2);
        if (difference["interval"].is_array())
          change += " [" + with_sign(100 * difference["interval"][0].get<double>(), 2) + ", " +
                    with_sign(100 * difference["interval"][1].get<double>(), 2) + "]";
        if (difference["p"].is_number()) p = p_value(difference["p"]);
        if (difference["p_holm"].is_number()) corrected = p_value(difference["p_holm"]);
      }
      ends.push_back({arm["arm"], arm["n"].dump(), shortest(arm["rate"].get<double>()),
                      percent(arm["average_accuracy"], false), change, p, corrected});
      ways.push_back({arm["arm"], percent(arm["learning_accuracy"], false), percent(arm["forgetting"], false),
                      percent(arm["backward_transfer"], true), percent(arm["forward_transfer"], true)});
    }
    text += (text.empty() ? "" : "\n") + setting["title"].get<std::string>() + "\n\n" + aligned(ends) + "\n" +
            aligned(ways);
  }
  for (const Json& run : summary["excluded"])
    text += "\nnot counted: " + run["arm"].get<std::string>() + ", seed " + run["seed"].dump() + ": " +
            run["state"].get<std::string>() + " after " + count(run["tasks"].get<std::size_t>(), "task") +
            (run["message"] == "" ? "" : " (" + run["message"].get<std::string>() + ")");
  if (!summary["excluded"].empty()) text += "\n";
  return text;
}

}  // namespace grapes::report
