#include "grapes/experiment/bench.h"

#include "grapes/core/responsibility.h"
#include "grapes/kernels/gemm.h"
#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/threads.h"
#include "grapes/kernels/update.h"
#include "grapes/train/step.h"

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

namespace grapes::experiment {
namespace {

using Clock = std::chrono::steady_clock;

at::ScalarType dtype_of(const std::string& precision) { return precision == "float64" ? at::kDouble : at::kFloat; }

/// Numbers that are the same in every run.
at::Tensor numbers(at::IntArrayRef shape, const std::string& name, at::ScalarType dtype) {
  Random random(stream_seed(1, name));
  at::Tensor values = at::empty(shape, at::kDouble);
  for (std::int64_t i = 0; i < values.numel(); ++i) values.data_ptr<double>()[i] = random.normal();
  return values.to(dtype);
}

/// Things that take turns on the same machine, a few runs each at a time so that each finds its data in the cache.
class Turns {
 public:
  struct Runner {
    std::function<void()> run;
    std::int64_t threads = 1;
    std::vector<double> us = {};
  };
  void add(std::int64_t threads, std::function<void()> run) { runners_.push_back({std::move(run), threads}); }

  void take(double seconds) {
    constexpr int warm = 3, timed = 12;
    const auto start = Clock::now();
    do {
      for (Runner& runner : runners_) {
        kernels::set_threads(runner.threads);
        for (int i = 0; i < warm + timed; ++i) {
          const auto begin = Clock::now();
          runner.run();
          if (i >= warm) runner.us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
        }
      }
    } while (std::chrono::duration<double>(Clock::now() - start).count() < seconds);
    for (Runner& runner : runners_) std::sort(runner.us.begin(), runner.us.end());
  }

  double quantile(std::size_t index, double q) const {
    const std::vector<double>& us = runners_[index].us;
    return us[static_cast<std::size_t>(std::lround(q * static_cast<double>(us.size() - 1)))];
  }
  void fill(Timing& timing, std::size_t step, std::size_t floor) const {
    timing.threads = runners_[step].threads;
    timing.step_us = quantile(step, 0.5);
    timing.floor_us = quantile(floor, 0.5);
    timing.step_spread = (quantile(step, 0.75) - quantile(step, 0.25)) / 2;
    timing.floor_spread = (quantile(floor, 0.75) - quantile(floor, 0.25)) / 2;
    timing.ratio = timing.step_us / timing.floor_us;
    timing.n = static_cast<std::int64_t>(runners_[step].us.size());
  }

 private:
  std::vector<Runner> runners_;
};

/// Counts the tensor memory asked for while it lives.
class CountedMemory {
 public:
  CountedMemory() : counter_(c10::GetCPUAllocator()) { c10::SetCPUAllocator(&counter_); }
  ~CountedMemory() { c10::SetCPUAllocator(counter_.beneath); }
  CountedMemory(const CountedMemory&) = delete;
  CountedMemory& operator=(const CountedMemory&) = delete;
  std::int64_t peak() const { return counter_.peak; }
  /// Forget what was held at one time before now: the peak of making a network is not that of training it.
  void start() { counter_.peak = counter_.held; }

 private:
  struct Counter final : c10::Allocator {
    explicit Counter(c10::Allocator* beneath) : beneath(beneath) {}
    struct Piece {
      c10::DataPtr memory;
      std::int64_t bytes;
      Counter* counter;
    };
    c10::DataPtr allocate(std::size_t bytes) const override {
      auto* self = const_cast<Counter*>(this);  // NOLINT(cppcoreguidelines-pro-type-const-cast): counting is no change
      c10::DataPtr memory = beneath->allocate(bytes);
      void* data = memory.get();
      self->held += static_cast<std::int64_t>(bytes);
      self->peak = std::max(self->peak, self->held);
      return {data, new Piece{std::move(memory), static_cast<std::int64_t>(bytes), self}, &release,
              c10::Device(c10::kCPU)};
    }
    static void release(void* piece) {
      auto* held = static_cast<Piece*>(piece);
      held->counter->held -= held->bytes;
      delete held;
    }
    c10::Allocator* beneath;
    std::int64_t held = 0, peak = 0;
  };
  Counter counter_;
};

/// A network in training on one batch that comes again and again.
class Learner {
 public:
  Learner(const MlpCase& which, const std::string& modulation, bool plain)
      : descend_(which.descend), plain_(plain), criterion_("cross-entropy", "softmax", nn::Answer::classes) {
    nn::Options network;
    network.precision = which.precision;
    network.dropout = which.dropout;
    network.modulation.name = modulation;
    network.model = which.nodes.size() == 2 ? "linear" : "mlp:";
    for (std::size_t l = 1; l + 1 < which.nodes.size(); ++l)
      network.model += (l > 1 ? "," : "") + std::to_string(which.nodes[l]);
    model_ = nn::make_model(network, {{which.nodes.front()}, which.nodes.back()}, 1);
    optim::Options options;
    options.optimizer = which.optimizer;
    optimizer_ = optim::make_optimizer(options, nn::learning(*model_));
    schedule_ = optim::make_schedule("constant", 0, 1);
    batch_.inputs = numbers({which.batch, which.nodes.front()}, "inputs", dtype_of(which.precision));
    batch_.targets = at::arange(which.batch, at::kLong).remainder(which.nodes.back());
  }

  void step() {
    nn::Pass pass;
    pass.step = steps_++;
    train::StepUse use;
    use.rate = 1e-5;  // small: the same batch a hundred thousand times must not be learned by heart
    use.plain = plain_;
    use.descend = descend_;
    train::Subject subject{*model_, criterion_, *optimizer_, *schedule_, use.rate};
    train::step(subject, batch_, pass, use);
  }

  const nn::Model& model() const { return *model_; }

 private:
  bool descend_, plain_;
  nn::Criterion criterion_;
  std::unique_ptr<nn::Model> model_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  std::unique_ptr<optim::Schedule> schedule_;
  data::Batch batch_;
  std::int64_t steps_ = 0;
};

double largest(const at::Tensor& difference) { return difference.abs().max().item<double>(); }

void require_equal_to_twin(const MlpCase& which, const std::string& modulation) {
  Learner fused(which, modulation, false), plain(which, modulation, true);
  std::vector<at::Tensor> start;
  for (const nn::Named& parameter : fused.model().parameters()) start.push_back(parameter.value.detach().clone());
  for (int i = 0; i < 4; ++i) {
    fused.step();
    plain.step();
  }
  const auto ours = fused.model().parameters(), twins = plain.model().parameters();
  for (std::size_t i = 0; i < ours.size(); ++i) {
    double difference = largest(ours[i].value - twins[i].value);
    double allowed = which.precision == "float64" ? 1e-12 : 2e-6;
    if (which.precision == "bf16") {
      // A sum in another order is now and then rounded to the neighbouring bfloat16, 2⁻⁸ away; through ten layers and
      // four steps that grows to some percent of what was learned. kernels_test holds one layer to 1e-6.
      const at::Tensor moved = twins[i].value - start[i];
      difference = ((ours[i].value - twins[i].value).norm() / moved.norm()).item<double>();
      allowed = 0.2;
    }
    if (!(difference <= allowed))
      throw Error(
          Exit::failed,
          fmt::format("bench: the fused step ({}, {}, batch {}) differs from its plain twin by {:g} in {}, more "
                      "than {:g}; it is not timed",
                      modulation, which.optimizer, which.batch, difference, ours[i].name, allowed));
  }
}

/// The bare products of a step.
template <class T>
std::function<void()> products(const MlpCase& which) {
  struct Layer {
    at::Tensor h, W, a, delta, below, gradient;
  };
  auto layers = std::make_shared<std::vector<Layer>>();
  const at::ScalarType dtype = dtype_of(which.precision);
  for (std::size_t l = 1; l < which.nodes.size(); ++l) {
    const std::int64_t in = which.nodes[l - 1], out = which.nodes[l], batch = which.batch;
    layers->push_back({numbers({batch, in}, "h", dtype), numbers({out, in}, "W", dtype), at::empty({batch, out}, dtype),
                       numbers({batch, out}, "delta", dtype), at::empty({batch, in}, dtype),
                       at::empty({out, in}, dtype)});
  }
  return [layers] {
    const auto matrix = [](const at::Tensor& t) {
      return kernels::Matrix<T>{t.data_ptr<T>(), t.size(0), t.size(1), t.size(1)};
    };
    const auto read = [](const at::Tensor& t) {
      return kernels::Matrix<const T>{t.data_ptr<T>(), t.size(0), t.size(1), t.size(1)};
    };
    for (const Layer& layer : *layers)
      kernels::gemm<T>(1, read(layer.h), kernels::transposed(read(layer.W)), 0, matrix(layer.a));
    for (std::size_t l = layers->size(); l-- > 0;) {
      const Layer& layer = (*layers)[l];
      if (l > 0) kernels::gemm<T>(1, read(layer.delta), read(layer.W), 0, matrix(layer.below));
      kernels::gemm<T>(1, kernels::transposed(read(layer.delta)), read(layer.h), 0, matrix(layer.gradient));
    }
  };
}

std::string joined(const std::vector<std::int64_t>& nodes) {
  if (nodes.size() > 6 && std::all_of(nodes.begin() + 2, nodes.end() - 1, [&](auto n) { return n == nodes[1]; }))
    return fmt::format("{}-{}x{}-{}", nodes.front(), nodes.size() - 2, nodes[1], nodes.back());
  return fmt::format("{}", fmt::join(nodes, "-"));
}

/// What training cannot do without: weights and the optimizer's states, the batch, an activation per layer.
std::int64_t least_bytes(const MlpCase& which) {
  std::int64_t weights = 0, activations = which.batch * which.nodes.front();
  for (std::size_t l = 1; l < which.nodes.size(); ++l) {
    weights += which.nodes[l] * which.nodes[l - 1];
    activations += which.batch * which.nodes[l];
  }
  const std::int64_t copies = which.optimizer == "sgd"                                ? 1
                              : which.optimizer == "adam" || which.optimizer == "nag" ? 3
                                                                                      : 2;
  return (weights * copies + activations) * static_cast<std::int64_t>(c10::elementSize(dtype_of(which.precision)));
}

std::int64_t peak_bytes(const MlpCase& which, const std::string& modulation) {
  CountedMemory memory;
  Learner learner(which, modulation, false);
  learner.step();
  memory.start();
  for (int i = 0; i < 3; ++i) learner.step();
  return memory.peak();
}

const char* const rules[][2] = {{"bp", "none"}, {"grapes", "grapes"}};

}  // namespace

std::vector<Timing> bench_mlp(const MlpCase& which, const BenchOptions& options) {
  const kernels::FlushDenormals flush;
  Turns turns;
  std::vector<std::unique_ptr<Learner>> learners;
  for (const auto& rule : rules) require_equal_to_twin(which, rule[1]);
  for (const std::int64_t threads : options.threads) {
    turns.add(threads, which.precision == "float64" ? products<double>(which) : products<float>(which));
    for (const auto& rule : rules) {
      learners.push_back(std::make_unique<Learner>(which, rule[1], false));
      turns.add(threads, [learner = learners.back().get()] { learner->step(); });
    }
  }
  turns.take(options.seconds);
  std::vector<Timing> timings;
  for (std::size_t t = 0; t < options.threads.size(); ++t)
    for (std::size_t r = 0; r < std::size(rules); ++r) {
      Timing timing;
      timing.what = joined(which.nodes);
      timing.batch = which.batch;
      timing.rule = rules[r][0];
      timing.optimizer = which.optimizer + (which.descend ? "" : ", gradients written");
      timing.precision = which.precision;
      timing.dropout = which.dropout;
      turns.fill(timing, 3 * t + 1 + r, 3 * t);
      timing.peak_bytes = peak_bytes(which, rules[r][1]);
      timing.least_bytes = least_bytes(which);
      timings.push_back(timing);
    }
  kernels::set_threads(options.threads.front());
  return timings;
}

std::vector<MlpCase> mlp_cases() {
  const std::vector<std::int64_t> deep = {784, 512, 512, 512, 512, 512, 512, 512, 512, 512, 512, 10};
  MlpCase dropout, gradients, momentum, nag, rmsprop, adam, deeper, one, eight, exact, half, deep_half;
  dropout.dropout = 0.1;
  gradients.descend = false;
  momentum.optimizer = "momentum";
  nag.optimizer = "nag";
  rmsprop.optimizer = "rmsprop";
  adam.optimizer = "adam";
  deeper.nodes = deep;
  one.batch = 1;
  eight.batch = 8;
  exact.precision = "float64";
  half.precision = deep_half.precision = "bf16";
  deep_half.nodes = deep;
  return {{}, dropout, gradients, momentum, nag, rmsprop, adam, deeper, one, eight, exact, half, deep_half};
}

namespace {

/// A fused operation and its plain twin over the copying of as many bytes.
std::vector<Timing> against_copy(Timing timing, std::int64_t bytes, const BenchOptions& options,
                                 const std::function<void()>& fused, const std::function<void()>& plain) {
  const auto from = std::make_shared<std::vector<char>>(static_cast<std::size_t>(bytes / 2), char{1});
  const auto into = std::make_shared<std::vector<char>>(from->size());
  Turns turns;
  turns.add(1, [from, into] { std::memcpy(into->data(), from->data(), from->size()); });
  turns.add(1, fused);
  turns.add(1, plain);
  turns.take(options.seconds);
  std::vector<Timing> timings;
  for (const std::size_t which : {1, 2}) {
    timing.rule = which == 1 ? "fused" : "plain";
    turns.fill(timing, which, 0);
    timings.push_back(timing);
  }
  return timings;
}

void require_close(const at::Tensor& ours, const at::Tensor& twin, const std::string& what) {
  const double difference = largest(ours - twin);
  const double allowed = ours.scalar_type() == at::kDouble ? 1e-12 : 2e-6;
  if (!(difference <= allowed))
    throw Error(Exit::failed,
                fmt::format("bench: fused {} differs from its plain twin by {:g}, more than {:g}; it is not timed",
                            what, difference, allowed));
}

/// One rule over one weight, fused or plain.
struct Updated {
  Updated(const std::string& name, at::ScalarType dtype, bool plain)
      : W(numbers({256, 784}, "W", dtype), plain ? nullptr : std::make_shared<kernels::RowSums>()),
        g(numbers({256, 784}, "g", dtype)),
        state1(at::zeros_like(g)),
        state2(at::zeros_like(g)) {
    const kernels::Rate rate{1e-5};
    const kernels::AdamNumbers adam{0.9, 0.999, 1e-8, 0.1, 0.001};
    const auto pick = [&](auto fused_rule, auto plain_rule, auto... rest) {
      run = [=, this] { plain ? plain_rule(W, g, rest...) : fused_rule(W, g, rest...); };
    };
    if (name == "sgd") pick(kernels::sgd, kernels::plain::sgd, rate);
    if (name == "momentum") pick(kernels::momentum, kernels::plain::momentum, state1, rate, 0.9);
    if (name == "nag") pick(kernels::nag, kernels::plain::nag, state1, state2, rate, 0.9);
    if (name == "rmsprop") pick(kernels::rmsprop, kernels::plain::rmsprop, state1, rate, 0.9, 1e-8);
    if (name == "adam") pick(kernels::adam, kernels::plain::adam, state1, state2, rate, adam);
  }
  kernels::Parameter W;
  at::Tensor g, state1, state2;
  std::function<void()> run;
};

}  // namespace

std::vector<Timing> bench_update(const std::string& optimizer, const std::string& precision,
                                 const BenchOptions& options) {
  const kernels::FlushDenormals flush;
  const at::ScalarType dtype = dtype_of(precision);
  {
    Updated fused(optimizer, dtype, false), plain(optimizer, dtype, true);
    for (Updated* one : {&fused, &plain, &fused, &plain}) one->run();
    require_close(fused.W.value, plain.W.value, optimizer);
  }
  Updated fused(optimizer, dtype, false), plain(optimizer, dtype, true);
  Timing timing;
  timing.what = "256x784";
  timing.optimizer = optimizer;
  timing.precision = precision;
  // Reads and writes W, reads g, and reads and writes each state (nag only reads its second).
  const std::int64_t tensors = optimizer == "sgd" ? 3 : optimizer == "adam" ? 7 : optimizer == "nag" ? 6 : 5;
  return against_copy(timing, tensors * fused.g.numel() * static_cast<std::int64_t>(fused.g.element_size()), options,
                      fused.run, plain.run);
}

std::vector<Timing> bench_factor(const std::vector<std::int64_t>& shape, const std::string& precision,
                                 const BenchOptions& options) {
  const at::Tensor W = numbers(shape, "W", dtype_of(precision));
  const auto plain = [W] { return factor_from(kernels::plain::abs_sums(W)); };
  require_close(factor(W), plain(), "factor");
  Timing timing;
  timing.what = fmt::format("{}", fmt::join(shape, "x"));
  timing.precision = precision;
  // Only read: a copy of half as many bytes reads and writes as many.
  return against_copy(
      timing, W.numel() * static_cast<std::int64_t>(W.element_size()), options, [W] { factor(W); },
      [plain] { plain(); });
}

record::Json to_json(const Timing& timing) {
  return {{"case", timing.what},
          {"batch", timing.batch},
          {"threads", timing.threads},
          {"rule", timing.rule},
          {"optimizer", timing.optimizer},
          {"dropout", timing.dropout},
          {"precision", timing.precision},
          {"step_us", timing.step_us},
          {"step_spread_us", timing.step_spread},
          {"floor_us", timing.floor_us},
          {"floor_spread_us", timing.floor_spread},
          {"ratio", timing.ratio},
          {"peak_bytes", timing.peak_bytes},
          {"least_bytes", timing.least_bytes},
          {"n", timing.n}};
}

}  // namespace grapes::experiment
