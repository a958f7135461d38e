#include "grapes/data/prefetcher.h"

#include <ATen/Parallel.h>

#include <utility>

namespace grapes::data {

Prefetcher::Prefetcher(Make make, std::int64_t first, std::int64_t last, std::int64_t ready)
    : make_(std::move(make)), next_(first), last_(last), most_(static_cast<std::size_t>(ready)) {
  TORCH_CHECK(ready >= 0, "Prefetcher: ready must be at least 0; got ", ready);
  if (ready > 0 && first < last)
    thread_ = std::jthread([this, first](const std::stop_token& stop) { prepare(first, stop); });
}

void Prefetcher::prepare(std::int64_t first, const std::stop_token& stop) {
  // By default this thread would use as many threads as there are cores for work next to the caller's. LibTorch sets
  // its default at a thread's first query, so query first. Set it only if it is not 1 already, because LibTorch keeps
  // the value for future threads.
  if (at::get_num_threads() > 1) at::set_num_threads(1);
  try {
    for (std::int64_t number = first; number < last_; ++number) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, stop, [this] { return ready_.size() < most_; });
        if (stop.stop_requested()) return;
      }
      Batch batch = make_(number);
      const std::lock_guard lock(mutex_);
      ready_.push_back(std::move(batch));
      changed_.notify_one();
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
    changed_.notify_one();
  }
}

Batch Prefetcher::next() {
  TORCH_CHECK(next_ < last_, "Prefetcher: there is no batch ", next_, "; the last one is ", last_ - 1);
  if (most_ == 0) {
    Batch batch = make_(next_);
    ++next_;
    return batch;
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !ready_.empty() || failure_; });
  if (ready_.empty()) std::rethrow_exception(failure_);
  Batch batch = std::move(ready_.front());
  ready_.pop_front();
  ++next_;
  changed_.notify_one();
  return batch;
}

}  // namespace grapes::data
