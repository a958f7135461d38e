#include "grapes/base/random.h"
#include "grapes/experiment/learner.h"
#include "grapes/experiment/turns.h"
#include "grapes/kernels/threads.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace grapes::experiment {
namespace {

/// Probability of a spike per example and input.
at::Tensor rates(const SnnCase& which) {
  const std::int64_t in = which.nodes.front();
  if (in == 784) {
    try {
      data::Options options;
      options.data = "mnist";
      options.download = false;
      const data::Splits splits = data::open(options, 1);
      return splits.train->get(at::arange(which.batch, at::kLong)).inputs.flatten(1);
    } catch (const DataError&) {
      return at::full({which.batch, in}, 0.13F);
    }
  }
  return at::full({which.batch, in}, 4.0F / static_cast<float>(in));
}

/// [batch, steps, in] of 0 and 1, step after step in memory, as data::sequences lays them out; or packed.
at::Tensor spikes(const SnnCase& which, bool packed) {
  const nn::Encoding encoding{"bernoulli", which.steps, 1};
  return nn::encode(rates(which), encoding, 1, packed).transpose(0, 1);
}

Learner::Setting setting(const SnnCase& which, const std::string& modulation, nn::SnuOptions::Inputs products,
                         bool plain) {
  Learner::Setting one;
  one.network.rule.modulation = modulation;
  one.network.spiking.recurrent = which.recurrent;
  one.network.spiking.products = products;
  one.network.model = "snu:";
  for (std::size_t l = 1; l + 1 < which.nodes.size(); ++l)
    one.network.model += (l > 1 ? "," : "") + std::to_string(which.nodes[l]);
  one.signature = {{which.nodes.front()}, which.nodes.back(), true, which.recurrent};
  one.targets = which.recurrent ? nn::TargetKind::bits : nn::TargetKind::classes;
  const at::Tensor numbers = spikes(which, false);
  // Pictures are shown as packed spikes, where spikes are used as such; sequences come as numbers.
  one.batch = {which.recurrent || products == nn::SnuOptions::Inputs::dense ? numbers : spikes(which, true),
               which.recurrent ? numbers.roll(1, 1).contiguous() : classes_in_turn(which.batch, which.nodes.back())};
  one.plain = plain;
  return one;
}

using Inputs = nn::SnuOptions::Inputs;
struct InputKind {
  const char* name;
  Inputs products;
};
const InputKind kinds[] = {{"dense", Inputs::dense}, {"spikes", Inputs::measured}};

void require_equal_to_twin(const SnnCase& which) {
  for (const auto& rule : rules)
    for (const InputKind& kind : kinds) {
      Learner fused(setting(which, rule[1], kind.products, false)), plain(setting(which, rule[1], kind.products, true));
      fused.step();
      plain.step();
      const auto ours = fused.model().parameters(), twins = plain.model().parameters();
      for (std::size_t i = 0; i < ours.size(); ++i) {
        const double difference = (ours[i].value - twins[i].value).abs().max().item<double>();
        if (!(difference <= 2e-6))
          throw RunError(
              fmt::format("bench: the fused step ({}, {}) differs from its plain twin by {:g} in {}, "
                          "more than 2e-06; it is not timed",
                          rule[0], kind.name, difference, ours[i].name));
      }
    }
}

std::vector<ProductShape> products_of(const SnnCase& which) {
  std::vector<ProductShape> all;
  const std::int64_t rows = which.steps * which.batch;
  for (std::size_t l = 1; l < which.nodes.size(); ++l) {
    all.push_back({rows, which.nodes[l - 1], which.nodes[l], l > 1});
    if (which.recurrent && l + 1 < which.nodes.size()) all.push_back({rows, which.nodes[l], which.nodes[l], true});
  }
  return all;
}

std::int64_t peak_bytes(const SnnCase& which, const std::string& modulation, Inputs products) {
  CountedMemory memory;
  Learner learner(setting(which, modulation, products, false));
  learner.step();
  memory.start();
  for (int i = 0; i < 3; ++i) learner.step();
  return memory.peak();
}

}  // namespace

std::vector<Timing> bench_snn(const SnnCase& which, const BenchOptions& options) {
  const kernels::FlushDenormals flush;
  kernels::set_threads(1);
  require_equal_to_twin(which);
  Turns turns;
  std::vector<std::unique_ptr<Learner>> learners;
  std::vector<Timing> timings;
  std::vector<std::pair<std::size_t, std::size_t>> places;  // of a timing's step and floor among what takes turns
  std::size_t next = 0;
  for (const std::int64_t threads : options.threads) {
    const std::size_t floor = next++;
    turns.add(threads, products(products_of(which), at::kFloat));
    for (const InputKind& kind : kinds)
      for (const auto& rule : rules) {
        learners.push_back(std::make_unique<Learner>(setting(which, rule[1], kind.products, false)));
        turns.add(threads, [learner = learners.back().get()] { learner->step(); });
        Timing timing;
        timing.what = joined(which.nodes) + (which.recurrent ? ", recurrent" : "") + fmt::format(", T {}", which.steps);
        timing.batch = which.batch;
        timing.rule = rule[0];
        timing.optimizer = kind.name;
        timing.precision = "float32";
        timing.density = spikes(which, false).mean().item<double>();
        timing.peak_bytes = peak_bytes(which, rule[1], kind.products);
        timings.push_back(timing);
        places.emplace_back(next++, floor);
      }
    if (!which.recurrent) {
      Timing timing;
      timing.what = joined(which.nodes) + fmt::format(", T {}", which.steps);
      timing.batch = which.batch;
      timing.rule = "encode";
      timing.optimizer = "bernoulli";
      timing.precision = "float32";
      turns.add(threads, [x = rates(which), encoding = nn::Encoding{"bernoulli", which.steps, 1},
                          seed = std::uint64_t{0}]() mutable { nn::encode(x, encoding, ++seed, true); });
      timings.push_back(timing);
      places.emplace_back(next++, floor);
    }
  }
  turns.take(options.seconds);
  for (std::size_t i = 0; i < timings.size(); ++i) turns.fill(timings[i], places[i].first, places[i].second);
  kernels::set_threads(options.threads.front());
  return timings;
}

std::vector<SnnCase> snn_cases() { return {{}, {{88, 150, 88}, 60, 16, true}}; }

}  // namespace grapes::experiment
