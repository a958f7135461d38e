#include "grapes/bench/step.h"

#include "grapes/base/error.h"
#include "grapes/train/step.h"

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <thread>

namespace grapes::bench {
namespace {

/// The network of a step in training mode.
class Learner {
 public:
  explicit Learner(const Step& step, bool plain = false)
      : batch_(step.batch), state_(step.network, step.optimizer, {}, step.info) {
    options_.rate = step.rate;
    options_.fused_sgd = step.fused_sgd;
    options_.plain = plain;
  }

  void step() {
    nn::Pass pass;
    pass.step = state_.progress.step++;
    train::step(state_, batch_, pass, options_);
  }

  std::vector<nn::Named> parameters() const { return state_.model->parameters(); }

 private:
  data::Batch batch_;
  train::TrainState state_;
  train::StepOptions options_;
};

/// Counts allocated tensor memory during its lifetime.
class CountedMemory {
 public:
  CountedMemory() : counter_(c10::GetCPUAllocator()) { c10::SetCPUAllocator(&counter_); }
  ~CountedMemory() { c10::SetCPUAllocator(counter_.beneath); }
  CountedMemory(const CountedMemory&) = delete;
  CountedMemory& operator=(const CountedMemory&) = delete;
  std::int64_t peak() const { return counter_.peak; }
  /// Resets the peak, so that memory for creating a network does not count.
  void start() { counter_.peak = counter_.held; }

 private:
  struct Counter final : c10::Allocator {
    explicit Counter(c10::Allocator* beneath) : beneath(beneath) {}
    /// A header in front of the allocated memory, because LibTorch's raw_allocate() needs memory whose context is its
    /// own address.
    struct alignas(64) Piece {  // as LibTorch aligns its memory
      c10::DataPtr memory;
      std::int64_t bytes;
      Counter* counter;
    };
    // Without `override`: allocate() is const in LibTorch 1.13 and not in 2.x, which also has copy_data().
    c10::DataPtr allocate(std::size_t bytes) const { return const_cast<Counter*>(this)->allocate(bytes); }  // NOLINT
    c10::DataPtr allocate(std::size_t bytes) {                                                              // NOLINT
      c10::DataPtr memory = beneath->allocate(sizeof(Piece) + bytes);
      auto* place = static_cast<Piece*>(memory.get());
      held += static_cast<std::int64_t>(bytes);
      peak = std::max(peak, held);
      void* data = new (place) Piece{std::move(memory), static_cast<std::int64_t>(bytes), this} + 1;
      return {data, data, &release, c10::Device(c10::kCPU)};
    }
    c10::DeleterFnPtr raw_deleter() const override { return &release; }
    void copy_data(void* to, const void* from, std::size_t bytes) const { std::memcpy(to, from, bytes); }  // NOLINT
    static void release(void* data) {
      Piece* piece = static_cast<Piece*>(data) - 1;
      piece->counter->held -= piece->bytes;
      const c10::DataPtr memory = std::move(piece->memory);  // contains the piece itself
      piece->~Piece();
    }
    c10::Allocator* beneath;
    std::int64_t held = 0, peak = 0;
  };
  Counter counter_;
};

/// Runs on a new thread, so that the memory that a thread keeps for its convolutions is counted too.
std::int64_t peak_bytes(const Step& step) {
  CountedMemory memory;
  std::thread([&] {
    Learner learner(step);
    learner.step();
    memory.start();
    learner.step();
  }).join();
  return memory.peak();
}

}  // namespace

std::vector<Step> under_both_rules(const Step& step) {
  std::vector<Step> both(2, step);
  both[0].labels.rule = "bp";
  both[1].labels.rule = both[1].network.rule.modulation = "grapes";
  return both;
}

void require_equal_to_reference(const std::vector<Step>& steps, const Agreement& agreement) {
  const kernels::FlushDenormals flush;
  kernels::set_threads(1);
  for (Step step : steps) {
    if (agreement.examples > 0 && agreement.examples < step.batch.inputs.size(0))
      step.batch = {step.batch.inputs.narrow(0, 0, agreement.examples),
                    step.batch.targets.narrow(0, 0, agreement.examples)};
    Learner fused(step), plain(step, true);
    std::vector<at::Tensor> start;
    for (const nn::Named& parameter : plain.parameters()) start.push_back(parameter.value.detach().clone());
    for (int i = 0; i < agreement.steps; ++i) {
      fused.step();
      plain.step();
    }
    const auto ours = fused.parameters(), reference = plain.parameters();
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const at::Tensor apart = ours[i].value - reference[i].value;
      const double difference =
          (agreement.of_update ? apart.norm() / (reference[i].value - start[i]).norm() : apart.abs().max())
              .item<double>();
      if (!(difference <= agreement.allowed))
        throw RunError(
            fmt::format("bench: the fused step of {} ({}, {}) differs from its reference by {:g}{} in {}, "
                        "more than {:g}; it is not timed",
                        step.labels.name, step.labels.rule, step.labels.optimizer, difference,
                        agreement.of_update ? " of the update's norm" : "", ours[i].name, agreement.allowed));
    }
  }
}

std::vector<Arm> arms(const std::vector<Step>& steps) {
  std::vector<Arm> all;
  for (const Step& step : steps) {
    all.push_back({step.labels, [learner = std::make_shared<Learner>(step)] { learner->step(); }});
    all.back().labels.peak_bytes = peak_bytes(step);
  }
  return all;
}

at::Tensor classes_in_turn(std::int64_t batch, std::int64_t classes) {
  return at::arange(batch, at::kLong).remainder(classes);
}

std::string joined(const std::vector<std::int64_t>& nodes) {
  if (nodes.size() > 6 && std::all_of(nodes.begin() + 2, nodes.end() - 1, [&](auto n) { return n == nodes[1]; }))
    return fmt::format("{}-{}x{}-{}", nodes.front(), nodes.size() - 2, nodes[1], nodes.back());
  return fmt::format("{}", fmt::join(nodes, "-"));
}

}  // namespace grapes::bench
