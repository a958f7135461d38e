#include "grapes/bench/bench.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/bench/earlier.h"
#include "grapes/bench/scaling.h"
#include "grapes/cli/launch.h"
#include "grapes/cli/program.h"
#include "grapes/optim/optimizer.h"

#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <optional>
#include <utility>

namespace grapes::cli {
namespace {

struct BenchVerb {
  std::string nodes, input = "random", path;
  std::optional<std::string> model, optimizer, precision;
  std::optional<std::int64_t> batch, most;
  std::optional<double> dropout;
  bench::Options options;
  bool json = false;
  std::string against, axis, out;
  double within = 5;                      // percent by which a ratio may grow
  std::optional<bench::Earlier> earlier;  // the run of `against`
  std::int64_t compared = 0, slower = 0;  // timings found in it
  bool headed = false;                    // whether the header of the table was printed
  std::string no_baseline;                // see bench::Timing
};

std::vector<std::int64_t> numbers_of(const std::string& text) {
  std::vector<std::int64_t> numbers;
  for (const std::string& piece : split(text, '-')) {
    const auto number = to_integer(trim(piece));
    if (!number || *number < 1 || *number > 100'000)
      throw UsageError("--nodes must be layer sizes such as 784-256-256-10; got '" + text + "'");
    numbers.push_back(*number);
  }
  if (numbers.size() < 2)
    throw UsageError("--nodes must have at least the number of inputs and outputs; got '" + text + "'");
  return numbers;
}

/// Describes a timing besides its case, batch and rule: "sgd, dropout 0.1", "sgd, spikes, density 0.130".
std::string details(const bench::Timing& t) {
  std::vector<std::string> parts;
  for (const std::string& name : {t.optimizer, t.variant, t.precision == "float32" ? std::string() : t.precision})
    if (!name.empty()) parts.push_back(name);
  if (t.dropout > 0) parts.push_back(fmt::format("dropout {}", t.dropout));
  if (t.pulses > 0) parts.push_back(fmt::format("{:.0f} pulses", t.pulses));
  if (t.density > 0) parts.push_back(fmt::format("density {:.3f}", t.density));
  if (t.bytes > 0) parts.push_back(fmt::format("{:.0f} MB/s", static_cast<double>(t.bytes) / t.step_us));
  return join(parts, ", ");
}

std::string row(const std::string& name, const std::string& batch, const std::string& threads, const std::string& rule,
                const std::string& details, const std::string& step, const std::string& baseline,
                const std::string& ratio, const std::string& peak, const std::string& least, const std::string& n,
                const std::string& by) {
  return fmt::format("{:<34}{:>6}{:>8}  {:<8}{:<28}{:>17}{:>12}{:>7}{:>11}{:>10}{:>8}{}{}\n", name, batch, threads,
                     rule, details, step, baseline, ratio, peak, least, n, by.empty() ? "" : "  ", by);
}

std::string row(const bench::Timing& t) {
  const auto megabytes = [](std::int64_t bytes) {
    return bytes == 0 ? std::string("-") : fmt::format("{:.2f} MB", static_cast<double>(bytes) / 1e6);
  };
  return row(t.name, t.batch > 0 ? std::to_string(t.batch) : "-", std::to_string(t.threads),
             t.rule.empty() ? "-" : t.rule, details(t), fmt::format("{:.1f} ± {:.1f} µs", t.step_us, t.step_spread_us),
             fmt::format("{:.1f} µs", t.baseline_us), t.no_baseline.empty() ? fmt::format("{:.3f}", t.ratio) : "-",
             megabytes(t.peak_bytes), megabytes(t.least_bytes), std::to_string(t.n), t.baseline_by);
}

/// Prints how a timing compares with the earlier run.
void compare(const bench::Timing& t, BenchVerb& verb) {
  const std::optional<bench::Earlier::Case> before = verb.earlier->find(t);
  if (!before || !t.no_baseline.empty()) return;
  const std::string which =
      fmt::format("{}, batch {}, threads {}, {} {}: ", t.name, t.batch, t.threads, t.rule, details(t));
  if (const std::string now = bench::measured_with(t); now != before->measured_with) {
    std::cerr << which << "not compared: " << now << "; before " << before->measured_with << "\n";
    return;
  }
  ++verb.compared;
  const double change = (t.ratio / before->ratio - 1) * 100;
  const bool slower = change > verb.within;
  if (slower) ++verb.slower;
  std::cerr << which
            << fmt::format("ratio {:.3f}, before {:.3f} ({:+.1f} %){}\n", t.ratio, before->ratio, change,
                           slower ? ": SLOWER" : "");
}

/// Returns the exit code of a benchmark with --against.
Exit compared(const BenchVerb& verb) {
  if (!verb.earlier) return Exit::done;
  if (verb.compared == 0)
    throw DataError("--against " + verb.against +
                    ": it has none of these cases with a ratio and the same libraries; write it by `grapes bench " +
                    "NAME --json`, with the same options");
  if (verb.slower == 0) return Exit::done;
  std::cerr << fmt::format(
      "grapes: bench: {} of {} cases are more than {} % slower than in {}, relative to their baselines\n", verb.slower,
      verb.compared, shortest(verb.within), verb.against);
  return Exit::failed;
}

/// Prints each group as soon as it is measured: a line per timing, as a table or as JSON.
void print(const std::vector<bench::Timing>& timings, BenchVerb& verb) {
  if (!verb.json && !std::exchange(verb.headed, true))
    std::cout << row("case", "batch", "threads", "rule", "details", "step", "baseline", "ratio", "peak", "least", "n",
                     "baseline by");
  for (const bench::Timing& timing : timings) {
    std::cout << (verb.json ? bench::to_json(timing).dump() + "\n" : row(timing));
    std::cout.flush();
    verb.no_baseline = timing.no_baseline;
    if (verb.earlier) compare(timing, verb);
  }
  std::cout.flush();
}

void mlp(BenchVerb& verb) {
  std::vector<bench::MlpCase> cases = bench::mlp_cases();
  if (!verb.nodes.empty() || verb.batch || verb.dropout || verb.optimizer || verb.precision) cases = {{}};
  for (bench::MlpCase& which : cases) {
    if (!verb.nodes.empty()) which.nodes = numbers_of(verb.nodes);
    which.batch = verb.batch.value_or(which.batch);
    which.dropout = verb.dropout.value_or(which.dropout);
    which.optimizer = verb.optimizer.value_or(which.optimizer);
    which.precision = verb.precision.value_or(which.precision);
    print(bench::mlp(which, verb.options), verb);
  }
}

void snn(BenchVerb& verb) {
  if (!verb.model)
    for (const bench::SnnCase& which : bench::snn_cases(verb.input)) print(bench::snn(which, verb.options), verb);
  for (const bench::CnnCase& which : bench::spiking_cnn_cases())
    if (verb.model.value_or(which.model) == which.model) print(bench::cnn(which, verb.options), verb);
}

void cnn(BenchVerb& verb) {
  for (bench::CnnCase which : bench::cnn_cases()) {
    which.batch = verb.batch.value_or(which.batch);
    print(bench::cnn(which, verb.options), verb);
  }
}

void update(BenchVerb& verb) {
  for (const optim::Row& rule : optim::optimizers())
    if (rule.elementwise && verb.optimizer.value_or(rule.name) == rule.name)  // those with a kernel
      print(bench::update(rule.name, verb.precision.value_or("float32"), verb.options), verb);
}

void factor(BenchVerb& verb) {
  for (const std::vector<std::int64_t>& shape : {{256, 784}, {512, 512}, std::vector<std::int64_t>{64, 32, 3, 3}})
    print(bench::factor(shape, verb.precision.value_or("float32"), verb.options), verb);
}

void crossbar(BenchVerb& verb) {
  for (const bench::CrossbarCase& which : bench::crossbar_cases()) print(bench::crossbar(which, verb.options), verb);
}

/// Starts this benchmark in several processes; in these, measures.
Exit dist(const BenchVerb& verb, int processes) {
  const dist::Place place = dist::place_in(dist::environment());
  if (place.alone()) {
    if (const std::string missing = dist::gloo_missing(); !missing.empty()) throw UsageError("bench dist: " + missing);
    dist::Launch launch;
    launch.processes = processes;
    launch.command = {this_program(), "bench", "dist", "--seconds", shortest(verb.options.seconds)};
    if (verb.json) launch.command.emplace_back("--json");
    if (verb.model) launch.command.insert(launch.command.end(), {"--model", *verb.model});
    if (verb.batch) launch.command.insert(launch.command.end(), {"--batch", std::to_string(*verb.batch)});
    return static_cast<Exit>(dist::launch(launch));
  }
  dist::Group group(place, 120 + verb.options.seconds);  // rank 0 measures alone first
  std::vector<bench::DistCase> cases = bench::dist_cases();
  if (verb.model) cases = {{*verb.model}};
  std::vector<std::vector<std::string>> rows = {
      {"case", "batch", "processes", "alone", "step", "efficiency", "exchange", "waited", "overlap"}};
  for (bench::DistCase& which : cases) {
    which.batch = verb.batch.value_or(which.batch);
    const bench::DistTiming t = bench::dist(which, group, verb.options);
    if (verb.json && group.first()) std::cout << bench::to_json(t).dump() << std::endl;
    rows.push_back({t.name, std::to_string(t.batch), std::to_string(t.processes), fmt::format("{:.0f} µs", t.alone_us),
                    fmt::format("{:.0f} µs", t.step_us), fmt::format("{:.2f}", t.efficiency()),
                    fmt::format("{:.0f} µs", t.exchange_us), fmt::format("{:.0f} µs", t.waited_us),
                    fmt::format("{:.2f}", t.overlap())});
  }
  if (!verb.json && group.first()) std::cout << columns(rows, "lr");
  return Exit::done;
}

void scaling(BenchVerb& verb) {
  std::vector<bench::ScalingPoint> points;
  for (const bench::ScalingAxis& axis : bench::scaling_axes())
    for (const std::int64_t value : axis.values) {
      if ((!verb.axis.empty() && verb.axis != axis.name) || value > verb.most.value_or(value)) continue;
      points.push_back({axis.name, value, axis.time(value, verb.options)});
      print({points.back().timing}, verb);
    }
  if (points.empty())
    throw UsageError("most", "the smallest value of axis " + verb.axis + " is above " + std::to_string(*verb.most));
  if (!verb.out.empty()) write_file(verb.out, bench::scaling_picture(points));
}

void read(BenchVerb& verb) { print(bench::read(verb.path, verb.batch.value_or(64), verb.options), verb); }

/// `grapes bench NAME` and its options.
class BenchOf {
 public:
  BenchOf(CLI::App& parent, Program& program, const std::string& name, const std::string& meaning,
          const std::vector<Example>& examples, void (*bench)(BenchVerb& verb))
      : app(add_verb(parent, name, meaning, examples)) {
    app->add_option("--seconds", verb->options.seconds, "seconds for which each group of cases is timed [2]")
        ->check(CLI::Range(0.01, 3600.0).description(""))
        ->type_name("S");
    app->add_flag("--json", verb->json, "print one JSON object per line");
    app->add_option("--against", verb->against,
                    "compare ratios with an earlier run, which --json printed to this file, and fail if one grew")
        ->type_name("FILE");
    app->add_option("--within", verb->within, "percent by which a ratio may grow [5]")
        ->check(CLI::Range(0.0, 1000.0).description(""))
        ->type_name("PERCENT");
    app->callback([&program, verb = verb, bench] {
      program.action = [verb, bench] {
        if (!verb->against.empty()) verb->earlier.emplace(verb->against);
        bench(*verb);
        if (!verb->no_baseline.empty())
          std::cerr << "grapes: bench: no ratios, because the matrix products cannot serve as a baseline: "
                    << verb->no_baseline << "\n";
        return compared(*verb);
      };
    });
  }

  BenchOf& batch() {
    app->add_option("--batch", verb->batch, "batch size [64]")
        ->check(CLI::Range(1, 65536).description(""))
        ->type_name("N");
    return *this;
  }
  BenchOf& threads() {
    app->add_option("--threads", verb->options.threads, "thread counts to measure [1]")
        ->delimiter(',')
        ->check(CLI::Range(1, 1024).description(""))
        ->type_name("N,...");
    return *this;
  }
  BenchOf& one_of(const std::string& option, auto& value, const std::string& meaning,
                  const std::vector<std::string>& names) {
    app->add_option(option, value, fmt::format("{}: {}", meaning, join(names, ", ")))
        ->check(CLI::IsMember(names).description(""))
        ->type_name("NAME");
    return *this;
  }
  BenchOf& precision(const std::vector<std::string>& names) {
    return one_of("--precision", verb->precision, "number format, float32 by default", names);
  }
  BenchOf& optimizer() {
    std::vector<std::string> names;
    for (const optim::Row& row : optim::optimizers())
      if (row.elementwise) names.push_back(row.name);
    return one_of("--optimizer", verb->optimizer, "measure only this update rule", names);
  }

  std::shared_ptr<BenchVerb> verb = std::make_shared<BenchVerb>();
  CLI::App* app;
};

}  // namespace

void add_bench(Program& program) {
  CLI::App* verb = add_verb(
      program.app, "bench",
      "time training steps relative to their arithmetic, and opening data relative to reading its bytes",
      {{"grapes bench mlp", "time dense networks"},
       {"grapes bench update --optimizer adam --json", "time one update rule relative to a copy of as many bytes"}});
  verb->require_subcommand(1);

  BenchOf dense(*verb, program, "mlp", "time a training step of dense layers relative to its matrix products",
                {{"grapes bench mlp", "time the cases of docs/performance.md"},
                 {"grapes bench mlp --nodes 784-100-10 --batch 16 --threads 1,2",
                  "time your own network on one and two threads"}},
                mlp);
  dense.app->add_option("--nodes", dense.verb->nodes, "layer sizes from inputs to outputs [784-256-256-10]")
      ->type_name("N-...");
  dense.app->add_option("--dropout", dense.verb->dropout, "probability that a hidden unit is dropped [0]")
      ->check(CLI::Range(0.0, 0.99).description(""))
      ->type_name("P");
  dense.batch().threads().optimizer().precision({"float32", "float64", "bf16"});

  BenchOf spiking(*verb, program, "snn",
                  "time a training step of spiking layers relative to its matrix products or convolutions",
                  {{"grapes bench snn --threads 1,2", "time random spikes, which are the same on every machine"},
                   {"grapes bench snn --input mnist", "time MNIST digits, the cases of docs/performance.md"}},
                  snn);
  std::vector<std::string> models;
  for (const bench::CnnCase& which : bench::spiking_cnn_cases())
    if (models.empty() || models.back() != which.model) models.push_back(which.model);
  spiking.threads()
      .one_of("--input", spiking.verb->input, "input spikes, random by default", {"random", "mnist"})
      .one_of("--model", spiking.verb->model, "measure only this network of spiking convolutions", models);

  BenchOf convolutional(*verb, program, "cnn", "time a training step of ResNet9 relative to its convolutions",
                        {{"grapes bench cnn --seconds 20", "time the cases of docs/performance.md"}}, cnn);
  convolutional.batch().threads();

  BenchOf updates(*verb, program, "update", "time update rules, fused and plain, relative to a copy",
                  {{"grapes bench update", "time all update rules"}}, update);
  updates.optimizer().precision({"float32", "float64"});

  BenchOf factors(*verb, program, "factor", "time responsibility and factor, fused and plain, relative to a copy",
                  {{"grapes bench factor", "time a dense and a convolutional weight"}}, factor);
  factors.precision({"float32", "float64"});

  BenchOf arrays(*verb, program, "crossbar", "time pulsed updates and reads of analog crossbars",
                 {{"grapes bench crossbar", "time the cases of docs/performance.md relative to their matrix products"}},
                 crossbar);
  arrays.threads();

  BenchOf growth(
      *verb, program, "scaling", "time a training step with GRAPES as its network grows",
      {{"grapes bench scaling --out scaling.svg", "draw time against width, depth, batch, classes, time steps"},
       {"grapes bench scaling --axis batch --most 64", "time batches of 1 to 64"}},
      scaling);
  std::vector<std::string> axes;
  for (const bench::ScalingAxis& axis : bench::scaling_axes()) axes.push_back(axis.name);
  growth.one_of("--axis", growth.verb->axis, "let only this quantity grow", axes).threads();
  growth.app->add_option("--most", growth.verb->most, "largest value of each quantity")
      ->check(CLI::Range(1, 1'000'000).description(""))
      ->type_name("N");
  growth.app->add_option("--out", growth.verb->out, "write a picture as SVG")->type_name("FILE");

  const auto several = std::make_shared<BenchVerb>();
  const auto processes = std::make_shared<int>(2);
  CLI::App* shared = add_verb(*verb, "dist", "time a training step in several processes relative to one process alone",
                              {{"grapes bench dist", "time two processes on this machine"},
                               {"grapes bench dist -n 4 --model mlp:512 --batch 32", "time your own network in four"}});
  shared->add_option("--processes,-n", *processes, "number of processes [2]")
      ->check(CLI::Range(2, 4096).description(""))
      ->type_name("N");
  shared->add_option("--seconds", several->options.seconds, "seconds for which each case is timed [2]")
      ->check(CLI::Range(0.01, 3600.0).description(""))
      ->type_name("S");
  shared
      ->add_option("--model", several->model,
                   "measure only this model, on inputs of 1 x 28 x 28; see grapes list models")
      ->type_name("MODEL");
  shared->add_option("--batch", several->batch, "examples per process; by default those of the case, or 64")
      ->check(CLI::Range(1, 65536).description(""))
      ->type_name("N");
  shared->add_flag("--json", several->json, "print one JSON object per line");
  shared->callback(
      [&program, several, processes] { program.action = [several, processes] { return dist(*several, *processes); }; });

  BenchOf reading(*verb, program, "read", "time opening a data set and taking batches, relative to reading its bytes",
                  {{"grapes bench read table.csv", "time reading a table on one thread"},
                   {"grapes bench read photographs/ --threads 2", "time decoding a folder of pictures on two"}},
                  read);
  reading.app->add_option("path", reading.verb->path, "a table, an array file or a folder of pictures")
      ->type_name("PATH")
      ->required();
  reading.batch().threads();
}

}  // namespace grapes::cli
