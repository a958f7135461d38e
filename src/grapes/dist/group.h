#pragma once

#include "grapes/dist/place.h"

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace grapes::dist {

/// Why this build cannot connect processes, or "" if it can.
std::string gloo_missing();

/// Waits for the end of an operation. @throws RunError, see Group
using Wait = std::function<void()>;

/// The processes of one training, connected by Gloo over TCP. All processes must call the same operations in the same
/// order. A process that died or does not answer is found when an operation fails or does not end within the timeout.
/// @throws RunError from every operation, with the rank, host and process that caused the failure
class Group final {
 public:
  /// Connects all processes of `place.world`. @param timeout  seconds that others may take, at the start and later
  /// @throws UsageError if this build lacks Gloo, or if the processes do not agree about their number or their ranks;
  ///   RunError if rank 0 cannot be reached or processes are missing
  Group(const Place& place, double timeout);
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  int rank() const { return place_.rank; }
  int size() const { return place_.world; }
  bool first() const { return place_.first(); }
  const Place& place() const { return place_; }
  /// Returns "rank 2 of 4 on n3 (process 812)".
  std::string name_of(int rank) const;

  /// Exchanges texts.
  /// @param patient  wait for longer than the timeout, as long as the processes that are missing give signs of life
  /// @return a text per rank
  std::vector<std::string> exchange(const std::string& mine, bool patient = false);
  /// Checks that all processes have the same lines of text. @param what  "settings" @throws UsageError with the first
  /// process and line that differ from those of rank 0
  void require_same(const std::string& what, const std::string& mine);

  /// Starts to sum a tensor over all processes, in place. All receive the same bits.
  /// @param x  any shape, contiguous, on the CPU; shape and type are equal in all processes. It must not be used before
  ///   the returned function has been called.
  Wait start_sum(const at::Tensor& x);
  void sum(const at::Tensor& x) { start_sum(x)(); }
  /// Replaces a tensor by that of rank 0. @param x  as for start_sum()
  void broadcast(const at::Tensor& x);
  std::string broadcast(const std::string& text);

  /// Tells the others why this process fails, and disconnects. Operations are not allowed afterwards.
  void fail(const std::string& why) noexcept;

 private:
  struct Link;
  Place place_;
  std::unique_ptr<Link> link_;
};

}  // namespace grapes::dist
