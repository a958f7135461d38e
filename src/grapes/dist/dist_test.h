#pragma once

#include "grapes/dist/group.h"
#include "grapes/dist/launch.h"

#include <gtest/gtest.h>

#include <functional>
#include <thread>
#include <vector>

namespace grapes::dist {

inline Place place_of(int rank, int world) {
  Place place;
  place.rank = rank;
  place.world = world;
  place.master = "127.0.0.1";
  place.port = free_port();
  return place;
}

/// Runs the ranks of a group as threads of this process. Skips the test if this build has no Gloo.
inline void in_processes(int world, double timeout, const std::function<void(Group&)>& work) {
  if (const std::string missing = gloo_missing(); !missing.empty()) GTEST_SKIP() << missing;
  const int port = free_port();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world; ++rank)
    threads.emplace_back([&, rank] {
      try {
        Place place = place_of(rank, world);
        place.port = port;
        Group group(place, timeout);
        work(group);
      } catch (const std::exception& error) {
        ADD_FAILURE() << "rank " << rank << ": " << error.what();
      }
    });
  for (std::thread& thread : threads) thread.join();
}
inline void in_processes(int world, const std::function<void(Group&)>& work) { in_processes(world, 30, work); }

}  // namespace grapes::dist
