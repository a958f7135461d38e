#pragma once

#ifdef GRAPES_GLOO

#include "grapes/dist/place.h"

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace grapes::dist {

/// What the processes of one training know of each other. They share texts in a store, which rank 0 serves at
/// MASTER_ADDR and MASTER_PORT, and each writes a sign of life to it twice per second.
class Roster final {
 public:
  /// Reaches the store. @param timeout  seconds that others may take @throws RunError if it cannot
  Roster(const Place& place, double timeout);
  /// Rank 0 waits until the others have left too, except after leave().
  ~Roster();
  Roster(const Roster&) = delete;
  Roster& operator=(const Roster&) = delete;

  /// Waits for all processes. @param connect  called when they are known @throws as Group's constructor
  void join(const std::function<void()>& connect);

  /// Returns "rank 2 of 4 on n3 (process 812)".
  std::string name_of(int rank) const;
  /// The address by which other processes reach this machine; "" if it is unknown. Known while connecting.
  const std::string& address() const { return address_; }
  /// A part of the store for other uses.
  c10::intrusive_ptr<c10d::Store> store(const std::string& name) const;

  /// Gives each process a text and returns those of all, by rank. All processes make the same exchanges in the same
  /// order. @param patient  wait for longer than the timeout, as long as those that are missing give signs of life
  /// @throws RunError with the processes that are missing, or the failure of one
  std::vector<std::string> exchange(const std::string& mine, bool patient = false);

  /// Counts an operation that this process starts. Processes that have started fewer than others are behind.
  void count_operation() { ++operations_; }
  /// Says which process is the cause of an operation's failure: one that said so; else one that gives no sign of life;
  /// else those that are behind.
  std::string find_reason(const std::string& symptom);
  /// Publishes the reason unless another process did it first. @return the reason that was published first
  std::string publish(const std::string& reason);
  /// Leaves after a failure. The others read the reason from the store of rank 0, so rank 0 waits for them a little.
  /// @param informed  whether this process has read it
  void leave(bool informed);

 private:
  struct Member {
    std::string host, process;
  };

  std::string get(const std::string& key);
  void set(const std::string& key, const std::string& value);
  bool has(const std::string& key);
  void meet();
  void beat_until_left();
  void wait_while_alive(const std::function<std::string(int)>& key);

  const Place place_;
  const double timeout_;
  const std::string prefix_;
  c10::intrusive_ptr<c10d::Store> store_, store_of_beats_;
  std::vector<Member> members_;
  std::string address_;
  std::int64_t exchanges_ = 0;
  std::atomic<std::int64_t> operations_{0};
  bool joined_ = false, failed_ = false;
  bool reachable_ = true;  // whether the store can be reached

  std::mutex mutex_;
  std::condition_variable woken_;
  bool leaving_ = false;
  std::thread beats_;
};

}  // namespace grapes::dist

#endif
