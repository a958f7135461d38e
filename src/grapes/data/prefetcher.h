#pragma once

#include "grapes/data/dataset.h"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>

namespace grapes::data {

/// Batches first ... last-1, in order, some prepared on a thread of their own while the caller is busy with those
/// before: the same batches as without it, as each is a function of its number alone.
class Prefetcher {
 public:
  using Make = std::function<Batch(std::int64_t number)>;

  /// @param make   what prepares a batch; on the other thread, so it must not touch what the caller changes
  /// @param ready  batches that may lie prepared; 0: no thread, each is made when it is asked for
  Prefetcher(Make make, std::int64_t first, std::int64_t last, std::int64_t ready = 1);
  /// Waits for the batch being made, if there is one, and makes no other.
  ~Prefetcher() = default;
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The next batch. @throws whatever make threw for it; there is then none after it
  Batch next();

 private:
  void prepare(std::int64_t first, const std::stop_token& stop);

  const Make make_;
  std::int64_t next_;
  const std::int64_t last_;
  const std::size_t most_;

  std::mutex mutex_;  ///< over the two that follow
  std::deque<Batch> ready_;
  std::exception_ptr failure_;
  std::condition_variable_any changed_;
  std::jthread thread_;  ///< the last member: it ends before what it uses
};

}  // namespace grapes::data
