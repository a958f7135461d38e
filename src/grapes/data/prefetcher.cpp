#include "grapes/data/prefetcher.h"

#include <ATen/Parallel.h>

#include <utility>

namespace grapes::data {

Prefetcher::Prefetcher(Make make, std::int64_t first, std::int64_t last, std::int64_t ready)
    : make_(std::move(make)), next_(first), last_(last), most_(static_cast<std::size_t>(ready)) {
  TORCH_CHECK(ready >= 0, "Prefetcher: batches that lie ready must be 0 or more; got ", ready);
  if (ready > 0 && first < last)
    thread_ = std::jthread([this, first](const std::stop_token& stop) { prepare(first, stop); });
}

void Prefetcher::prepare(std::int64_t first, const std::stop_token& stop) {
  // A new thread would take as many threads as there are cores for what is to be done beside the caller's work. Asked
  // first, as LibTorch sets its number anew at a thread's first question; and only told where it is not one already, as
  // it keeps what it is told for threads to come.
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
  TORCH_CHECK(next_ < last_, "Prefetcher: batch ", next_, " was asked for, but there are none from ", last_, " on");
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
