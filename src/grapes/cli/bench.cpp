#include "grapes/experiment/bench.h"

#include "grapes/base/text.h"
#include "grapes/cli/program.h"
#include "grapes/optim/optimizer.h"

#include <fmt/format.h>

#include <iostream>
#include <optional>
#include <utility>

namespace grapes::cli {
namespace {

struct BenchVerb {
  std::string nodes;
  std::optional<std::int64_t> batch;
  std::optional<double> dropout;
  std::string optimizer, precision;
  std::vector<std::int64_t> threads = {1};
  double seconds = 2;
  bool json = false;
  bool headed = false;  // whether the table's head is printed

  experiment::BenchOptions options() const { return {seconds, threads}; }
};

std::vector<std::int64_t> numbers_of(const std::string& text) {
  std::vector<std::int64_t> numbers;
  for (const std::string& piece : split(text, '-')) {
    const auto number = to_integer(trim(piece));
    if (!number || *number < 1 || *number > 100'000)
      throw UsageError("--nodes must be node counts such as 784-256-256-10; got '" + text + "'");
    numbers.push_back(*number);
  }
  if (numbers.size() < 2) throw UsageError("--nodes must name inputs and outputs at least; got '" + text + "'");
  return numbers;
}

std::string heading() {
  return fmt::format("{:<30}{:>6}{:>8}  {:<8}{:<24}{:<8}{:>17}{:>12}{:>7}{:>11}{:>10}{:>8}\n", "case", "batch",
                     "threads", "rule", "optimizer", "dropout", "step", "floor", "ratio", "peak", "least", "n");
}

std::string line(const experiment::Timing& t) {
  const auto megabytes = [](std::int64_t bytes) {
    return bytes == 0 ? std::string("-") : fmt::format("{:.2f} MB", static_cast<double>(bytes) / 1e6);
  };
  const std::string optimizer = t.precision == "float32" ? t.optimizer : t.optimizer + ", " + t.precision;
  return fmt::format("{:<30}{:>6}{:>8}  {:<8}{:<24}{:<8}{:>17}{:>12}{:>7.3f}{:>11}{:>10}{:>8}\n", t.what,
                     t.batch > 0 ? std::to_string(t.batch) : "-", t.threads, t.rule, optimizer,
                     t.dropout > 0 ? fmt::format("{}", t.dropout) : "-",
                     fmt::format("{:.1f} ± {:.1f} µs", t.step_us, t.step_spread), fmt::format("{:.1f} µs", t.floor_us),
                     t.ratio, megabytes(t.peak_bytes), megabytes(t.least_bytes), t.n);
}

/// Each group as soon as it is measured: a line a timing, for people or for programs.
void print(const std::vector<experiment::Timing>& timings, BenchVerb& verb) {
  if (!verb.json && !std::exchange(verb.headed, true)) std::cout << heading();
  for (const experiment::Timing& timing : timings)
    std::cout << (verb.json ? experiment::to_json(timing).dump() + "\n" : line(timing));
  std::cout.flush();
}

std::vector<experiment::MlpCase> chosen_cases(const BenchVerb& verb) {
  std::vector<experiment::MlpCase> cases = experiment::mlp_cases();
  if (!verb.nodes.empty() || verb.batch || verb.dropout || !verb.optimizer.empty() || !verb.precision.empty())
    cases = {{}};
  for (experiment::MlpCase& which : cases) {
    if (!verb.nodes.empty()) which.nodes = numbers_of(verb.nodes);
    if (verb.batch) which.batch = *verb.batch;
    if (verb.dropout) which.dropout = *verb.dropout;
    if (!verb.optimizer.empty()) which.optimizer = verb.optimizer;
    if (!verb.precision.empty()) which.precision = verb.precision;
  }
  return cases;
}

using Bench = Exit (*)(BenchVerb& verb);

Exit mlp(BenchVerb& verb) {
  for (const experiment::MlpCase& which : chosen_cases(verb)) print(bench_mlp(which, verb.options()), verb);
  return Exit::done;
}

Exit snn(BenchVerb& verb) {
  for (const experiment::SnnCase& which : experiment::snn_cases()) print(bench_snn(which, verb.options()), verb);
  return Exit::done;
}

Exit cnn(BenchVerb& verb) {
  for (experiment::CnnCase which : experiment::cnn_cases()) {
    if (verb.batch) which.batch = *verb.batch;
    print(bench_cnn(which, verb.options()), verb);
  }
  return Exit::done;
}

Exit update(BenchVerb& verb) {
  for (const optim::Row& row : optim::optimizers())
    if (verb.optimizer.empty() || verb.optimizer == row.name)
      print(bench_update(row.name, verb.precision.empty() ? "float32" : verb.precision, verb.options()), verb);
  return Exit::done;
}

Exit factor(BenchVerb& verb) {
  const std::vector<std::vector<std::int64_t>> shapes = {{256, 784}, {512, 512}, {64, 32, 3, 3}};
  for (const auto& shape : shapes)
    print(bench_factor(shape, verb.precision.empty() ? "float32" : verb.precision, verb.options()), verb);
  return Exit::done;
}

CLI::App* add_bench_of(CLI::App& parent, Program& program, const std::string& name, const std::string& meaning,
                       const std::vector<Example>& examples, Bench bench, const std::shared_ptr<BenchVerb>& options) {
  CLI::App* verb = add_verb(parent, name, meaning, examples);
  verb->add_option("--seconds", options->seconds, "of timing per group that takes turns [2]")
      ->check(CLI::Range(0.01, 3600.0).description(""))
      ->type_name("S");
  verb->add_flag("--json", options->json, "one JSON object per line");
  verb->callback([&program, options, bench] { program.action = [options, bench] { return bench(*options); }; });
  return verb;
}

void add_precision(CLI::App& verb, const std::shared_ptr<BenchVerb>& options, const std::vector<std::string>& names) {
  verb.add_option("--precision", options->precision, fmt::format("{} [float32]", fmt::join(names, ", ")))
      ->check(CLI::IsMember(names).description(""))
      ->type_name("NAME");
}

void add_batch(CLI::App& verb, const std::shared_ptr<BenchVerb>& options) {
  verb.add_option("--batch", options->batch, "examples a step [64]")
      ->check(CLI::Range(1, 65536).description(""))
      ->type_name("N");
}

void add_threads(CLI::App& verb, const std::shared_ptr<BenchVerb>& options) {
  verb.add_option("--threads", options->threads, "thread counts that take turns [1]")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024).description(""))
      ->type_name("N,...");
}

void add_optimizer(CLI::App& verb, const std::shared_ptr<BenchVerb>& options) {
  std::vector<std::string> names;
  for (const optim::Row& row : optim::optimizers()) names.push_back(row.name);
  verb.add_option("--optimizer", options->optimizer, "one of them only: " + join(names, ", "))
      ->check(CLI::IsMember(names).description(""))
      ->type_name("NAME");
}

}  // namespace

void add_bench(Program& program) {
  CLI::App* verb = add_verb(program.app, "bench", "what learning costs next to the arithmetic it cannot do without",
                            {{"grapes bench mlp", "training steps over their bare matrix products"},
                             {"grapes bench update --optimizer adam --json", "an update rule over a bare copy"}});
  verb->require_subcommand(1);
  const auto options = std::make_shared<BenchVerb>();
  CLI::App* steps = add_bench_of(*verb, program, "mlp", "a training step, bp and grapes, over its bare matrix products",
                                 {{"grapes bench mlp", "the cases of docs/performance.md"},
                                  {"grapes bench mlp --nodes 784-100-10 --batch 16 --threads 1,2",
                                   "a network of one's own, on one and two threads"}},
                                 mlp, options);
  steps->add_option("--nodes", options->nodes, "node counts from inputs to outputs [784-256-256-10]")
      ->type_name("N-...");
  add_precision(*steps, options, {"float32", "float64", "bf16"});
  add_batch(*steps, options);
  steps->add_option("--dropout", options->dropout, "probability to drop a hidden node [0]")
      ->check(CLI::Range(0.0, 0.99).description(""))
      ->type_name("P");
  add_threads(*steps, options);
  add_optimizer(*steps, options);
  CLI::App* spiking = add_bench_of(
      *verb, program, "snn", "a training step of spiking layers, bp and grapes, over its bare matrix products",
      {{"grapes bench snn --threads 1,2", "the cases of docs/performance.md"}}, snn, options);
  add_threads(*spiking, options);
  CLI::App* convolutional =
      add_bench_of(*verb, program, "cnn",
                   "a training step of the nine-layer residual network, bp and grapes, over its bare convolutions",
                   {{"grapes bench cnn --seconds 20", "the cases of docs/performance.md"}}, cnn, options);
  add_batch(*convolutional, options);
  add_threads(*convolutional, options);
  CLI::App* updates =
      add_bench_of(*verb, program, "update", "an update rule over one weight, fused and plain",
                   {{"grapes bench update", "all rules, over the copying of as many bytes"}}, update, options);
  add_precision(*updates, options, {"float32", "float64"});
  add_optimizer(*updates, options);
  CLI::App* factors = add_bench_of(
      *verb, program, "factor", "responsibility and factor of one weight, fused and plain",
      {{"grapes bench factor", "dense and convolutional, over the copying of as many bytes"}}, factor, options);
  add_precision(*factors, options, {"float32", "float64"});
}

}  // namespace grapes::cli
