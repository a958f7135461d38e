#include "grapes/bench/memory.h"

#include "grapes/nn/models.h"

#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <set>
#include <thread>
#include <utility>

namespace grapes::bench {
namespace {

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

/// Zeros and ones, which all models take: spikes, or pixels.
data::Batch examples(const data::DatasetInfo& info, std::int64_t batch, std::int64_t time_steps) {
  std::vector<std::int64_t> inputs = {batch}, outputs = {batch};
  if (info.sequence) inputs.push_back(time_steps);
  if (info.problem == data::ProblemKind::prediction) outputs.push_back(time_steps);
  inputs.insert(inputs.end(), info.input_shape.begin(), info.input_shape.end());
  outputs.push_back(info.outputs);
  const bool classes = info.problem == data::ProblemKind::classification;
  return {at::rand(inputs).lt(0.13).to(at::kFloat),
          classes ? classes_in_turn(batch, info.outputs) : at::zeros(outputs)};
}

}  // namespace

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

std::vector<MemoryPoint> memory_of(Step step, std::int64_t batch, std::int64_t time_steps) {
  const nn::Stages stages =
      nn::stages_of(step.network.model, {step.info.input_shape, step.info.outputs, step.info.sequence,
                                         step.info.problem == data::ProblemKind::prediction});
  const bool timed = nn::has_time(stages), recomputes = nn::takes_maps(stages);
  std::set<std::int64_t> counts = {0};
  if (timed)
    counts = {std::max<std::int64_t>(time_steps / 4, 1), std::max<std::int64_t>(time_steps / 2, 1), time_steps,
              2 * time_steps};
  std::vector<MemoryPoint> points;
  for (const std::int64_t count : counts) {
    step.network.encoding.steps = std::max<std::int64_t>(count, 1);
    step.batch = examples(step.info, batch, count);
    MemoryPoint point{count};
    for (const bool recompute : {false, true}) {
      if (recompute && !recomputes) continue;
      step.network.recompute = recompute;
      (recompute ? point.recomputed : point.stored) = peak_bytes(step);
    }
    points.push_back(point);
  }
  return points;
}

}  // namespace grapes::bench
