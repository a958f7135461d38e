#pragma once

#include "grapes/experiment/bench.h"
#include "grapes/kernels/threads.h"

#include <ATen/core/Tensor.h>
#include <c10/core/CPUAllocator.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

/// What measurements have in common: taking turns, counting memory, and the bare products that steps are held against.
namespace grapes::experiment {

/// Numbers that are the same in every run.
at::Tensor numbers(at::IntArrayRef shape, const std::string& name, at::ScalarType dtype);

/// Things that take turns on the same machine, a few runs each at a time so that each finds its data in the cache.
class Turns {
 public:
  /// @param pool  who does the large products of what takes turns @param timed  runs in a row, after a quarter as many
  explicit Turns(kernels::Pool pool = kernels::Pool::blas, int timed = 12) : pool_(pool), timed_(timed) {}
  void add(std::int64_t threads, std::function<void()> run) { runners_.push_back({std::move(run), threads}); }
  void take(double seconds);
  double quantile(std::size_t index, double q) const;  ///< µs
  void fill(Timing& timing, std::size_t step, std::size_t floor) const;

 private:
  struct Runner {
    std::function<void()> run;
    std::int64_t threads = 1;
    std::vector<double> us = {};
  };
  kernels::Pool pool_;
  int timed_;
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

/// A dense layer of a step: rows × in times in × out forward, its weight's gradient, and, if there is a layer below
/// that wants it, the error that goes there.
struct ProductShape {
  std::int64_t rows, in, out;
  bool below;
};
/// The bare matrix products of a step, by the same BLAS, without anything around them.
std::function<void()> products(const std::vector<ProductShape>& layers, at::ScalarType dtype);

/// "784-256-256-10"
std::string joined(const std::vector<std::int64_t>& nodes);

}  // namespace grapes::experiment
