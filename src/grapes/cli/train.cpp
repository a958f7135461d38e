#include "grapes/base/file.h"
#include "grapes/base/interrupt.h"
#include "grapes/base/text.h"
#include "grapes/cli/checkpoint.h"
#include "grapes/cli/experiment.h"
#include "grapes/dist/group.h"
#include "grapes/experiment/arms.h"
#include "grapes/experiment/environment.h"
#include "grapes/experiment/run.h"
#include "grapes/experiment/toml.h"
#include "grapes/experiment/version.h"
#include "grapes/report/report.h"
#include "grapes/train/state.h"

#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <utility>

namespace grapes::cli {
namespace fs = std::filesystem;
namespace {

/// Final loss and score of each part, from the record.
std::vector<std::vector<std::string>> final_table(const record::Run& run) {
  const std::string& score = run.identity.score;
  std::vector<std::vector<std::string>> rows = {{"", "loss", score}};
  // A record contains null for a number that is not finite.
  const auto text = [](const record::Json& row, const std::string& key, const auto& written) {
    if (!row.contains(key)) return std::string("–");
    return row.at(key).is_number() ? written(row.at(key).template get<double>()) : std::string("nan");
  };
  for (const std::string part : {"train", "validation", "test"})
    for (auto row = run.epochs.rbegin(); row != run.epochs.rend(); ++row)
      if (row->contains(part + "_" + score) && (run.status.counts < 0 || row->at("epoch") <= run.status.counts)) {
        rows.push_back({part, text(*row, part + "_loss", [](double x) { return fmt::format("{:.4f}", x); }),
                        text(*row, part + "_" + score, [&](double x) { return score_text(score, x); })});
        break;
      }
  return rows;
}

double training_seconds(const record::Run& run) {
  double seconds = 0;
  for (const record::Json& row : run.epochs) seconds += row.value("seconds", 0.0);
  return seconds;
}

record::Json document(const record::Run& run, const fs::path& report) {
  record::Json last = run.epochs.empty() ? record::Json() : record::result_row(run);
  if (last.is_object()) last.erase("layers");
  return {{"folder", run.folder.string()},
          {"arm", run.identity.arm},
          {"seed", run.identity.seed},
          {"state", record::to_string(run.status.state)},
          {"message", run.status.message},
          {"epochs", run.status.epoch},
          {"steps", run.status.step},
          {"seconds", training_seconds(run)},
          {"last", last},
          {"report", report.empty() ? record::Json() : record::Json(report.string())}};
}

void print_result(const Program& program, const record::Run& run, const fs::path& report) {
  const std::string folder = run.folder.string();
  std::cout << fmt::format("{}, seed {}: {} after epoch {}, {} updates in {}\n", program.out().bold(run.identity.arm),
                           run.identity.seed, record::to_string(run.status.state), run.status.epoch, run.status.step,
                           duration(training_seconds(run)));
  if (!run.status.message.empty()) std::cout << run.status.message << "\n";
  if (run.status.counts >= 0)
    std::cout << "epoch " << run.status.counts << " had the best validation score; these are its numbers:\n";
  std::cout << columns(final_table(run), "lr");
  if (const report::Measure score = report::score_of(run.identity.score); !score.meaning.empty())
    std::cout << score.name << ": " << score.meaning << "\n";
  std::cout << "record: " << folder << "\n";
  if (!report.empty()) std::cout << "report: " << report.string() << "\n";
  if (run.status.state == record::State::interrupted)
    std::cout << "resume with: grapes train --resume " << folder << "\n";
}

/// The checkpoint with the weights to start from, or "".
std::string weights_of(const Plan& plan) {
  return plan.from.empty() || !plan.init.empty() ? plan.init : checkpoint_path(plan.from).string();
}

train::ProgressCallback watch(ProgressBar& bar, const std::string& score) {
  return [&bar, score](const train::ProgressEvent& event) {
    if (event.finished != nullptr) return;  // the next batch redraws it
    const double part = event.batches > 0 ? static_cast<double>(event.batch) / static_cast<double>(event.batches) : 0;
    const double fraction = (static_cast<double>(event.epoch - 1) + part) / static_cast<double>(event.epochs);
    bar.show("training", fmt::format("epoch {} of {}", event.epoch, event.epochs), fraction,
             fmt::format("loss {:.4f}  {} {}  {:.0f} samples/s", event.loss, score, score_text(score, event.score),
                         event.samples_per_second));
  };
}

/// Opens the data and trains. @param group  null: in this process only
record::Status run(const Program& program, const experiment::Config& config, const Plan& plan,
                   const RecordFolder& record, dist::Group* group) {
  ProgressBar bar(program.err(), program.quiet);
  // One process per machine looks for the data first, and downloads them if they are missing.
  const bool waits = group != nullptr && group->place().local_rank > 0;
  if (waits) group->exchange("", true);  // a download may take long
  const data::Splits splits = open_data(program, config, bar);
  if (group != nullptr && !waits) group->exchange("", true);
  if (group != nullptr) group->require_same("data", splits.name + "\n" + splits.fingerprint);
  interrupt::install();
  const auto describe = [&](const nn::Network& model) { program.say(std::string(trim(model.describe()))); };
  const bool writes = group == nullptr || group->first();
  const experiment::RunPlan run = {writes ? record.path : "",
                                   record.begin != experiment::Begin::create,
                                   writes ? weights_of(plan) : "",
                                   true,
                                   describe,
                                   group};
  const record::Status status = experiment::run(config, splits, run, watch(bar, score_name(splits.info)));
  bar.clear();
  return status;
}

/// Trains together with other processes. @param record  set in the first process
record::Status run_together(const Program& program, const experiment::Config& config, const Plan& plan,
                            const dist::Place& place, RecordFolder& record) {
  experiment::check_divisible(config);
  dist::Group group(place, config.timeout);
  try {
    if (group.first()) record = record_folder(plan, config, config.arm);
    group.require_same("version", experiment::version_line());
    experiment::Config same = config;  // machines may differ in these two
    same.threads = 1;
    same.data.data_dir.clear();
    group.require_same("settings", experiment::to_toml(same));
    program.say(fmt::format("{} processes", group.size()));
    return run(program, config, plan, record, &group);
  } catch (const std::exception& error) {
    const std::string why = error.what();
    group.fail(why.substr(0, why.find('\n')));
    throw;
  }
}

/// A training that its launcher started again continues its record.
void continue_after_restart(Plan& plan, const experiment::Config& config, const dist::Place& place) {
  if (!plan.resume.empty()) return;
  if (const auto launched = dist::environment()("GRAPES_LAUNCH"); launched && plan.out.empty())
    plan.out = default_folder(*launched, config.arm);
  if (place.restarts == 0) return;
  if (plan.out.empty())
    throw UsageError("a training that " + place.starter + " can start again needs --out, the folder of its record");
  if (record::is_run(plan.out)) plan.resume = std::exchange(plan.out, "");
}

}  // namespace

Exit train(const Program& program, experiment::Config config, const Plan& given) {
  if (!given.shard.empty() || given.list)
    throw UsageError("--shard and --plan are for studies of several runs, but this is a single run");
  experiment::check(config);
  if (config.arm.empty()) config.arm = experiment::arm_label(config);
  experiment::take_threads(config);
  const dist::Place place = dist::place_in(dist::environment());
  Plan plan = given;
  continue_after_restart(plan, config, place);
  RecordFolder record;
  if (place.alone()) record = record_folder(plan, config, config.arm);
  const record::Status status =
      place.alone() ? run(program, config, plan, record, nullptr) : run_together(program, config, plan, place, record);
  const auto exit = exit_of(status.state);
  if (!place.first()) return exit;
  if (!plan.save.empty()) write_file(plan.save, read_file(checkpoint_path(record.path.string())));
  fs::path report;
  if (exit == Exit::done) report = report::write(report::summarize(report::read({record.path})), record.path);
  const record::Run run = record::load(record.path);
  if (plan.json)
    print_json(document(run, report));
  else
    print_result(program, run, report);
  return exit;
}

void add_train(Program& program) {
  CLI::App* verb = add_verb(
      program.app, "train", "train one network",
      {{"grapes train", "train on the built-in digits with plain backpropagation"},
       {"grapes train --modulation grapes --data fashion-mnist --epochs 20", "train with GRAPES on Fashion-MNIST"},
       {"grapes train --data prices.csv --target price --model mlp:64,64", "train a regression on your own table"},
       {"grapes train --config my.toml --learning-rate 0.05", "read settings from a file and override one of them"},
       {"grapes train --from theirs.safetensors --modulation grapes --epochs 5",
        "train an imported network further with GRAPES"},
       {"grapes train --resume runs/20260101-120000-grapes",
        "resume an interrupted run; the result is the same, bit for bit"},
       {"grapes train --resume runs/20260101-120000-grapes --epochs 40", "continue a finished run up to epoch 40"}});
  std::set<std::string> of_several = names_of(experiment::of_comparisons);
  of_several.merge(names_of(experiment::of_tasks));
  of_several.insert("jobs");
  const PlanPtr plan = add_plan(*verb, true, of_several);
  add_config(*verb, plan->file);
  verb->callback([&program, plan] {
    program.action = [&program, plan] {
      if (!dist::place_in(dist::environment()).first()) program.quiet = true;
      experiment::Config config;
      configure(*plan, config);
      if (config.arm.empty()) config.arm = experiment::arm_label(config);
      return print_config(*plan, config) ? Exit::done : train(program, config, *plan);
    };
  });
}

}  // namespace grapes::cli
