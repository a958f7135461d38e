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

/// Batches first ... last-1, in order. A background thread prepares batches while the caller uses earlier ones. The
/// batches are the same as without it, because each is a function of its number only.
class Prefetcher {
 public:
  using Make = std::function<Batch(std::int64_t number)>;

  /// @param make   prepares a batch; called on the background thread, so it must not use data that the caller changes
  /// @param ready  maximum number of prepared batches; 0: no thread, each batch is prepared when requested
  Prefetcher(Make make, std::int64_t first, std::int64_t last, std::int64_t ready = 1);
  /// Waits for the batch in preparation, if any. No other batch is prepared.
  ~Prefetcher() = default;
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// Returns the next batch. @throws the exception of `make` for it; there are no batches after it
  Batch next();

 private:
  void prepare(std::int64_t first, const std::stop_token& stop);

  const Make make_;
  std::int64_t next_;
  const std::int64_t last_;
  const std::size_t most_;

  std::mutex mutex_;  ///< protects the next two members
  std::deque<Batch> ready_;
  std::exception_ptr failure_;
  std::condition_variable_any changed_;
  std::jthread thread_;  ///< last member: it ends before the members that it uses are destroyed
};

}  // namespace grapes::data
