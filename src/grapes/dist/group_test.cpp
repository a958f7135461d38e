#include "grapes/dist/group.h"

#include "grapes/base/error.h"
#include "grapes/dist/dist_test.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <chrono>
#include <thread>

namespace grapes::dist {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// Runs `work` and returns the message of its error.
template <class Work>
std::string message(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Group, SumsAndBroadcastsReachAllRanks) {
  in_processes(3, [](Group& group) {
    const at::Tensor x = at::full({5}, group.rank() + 1, at::kDouble);
    const Wait wait = group.start_sum(x);
    wait();
    EXPECT_TRUE(x.equal(at::full({5}, 6, at::kDouble)));
    const at::Tensor y = at::full({2}, group.rank(), at::kLong);
    group.broadcast(y);
    EXPECT_TRUE(y.equal(at::zeros({2}, at::kLong)));
    EXPECT_EQ(group.broadcast(group.first() ? "a text\nof rank 0" : "another"), "a text\nof rank 0");
    EXPECT_EQ(group.broadcast(std::string()), "");
    EXPECT_EQ(group.exchange(std::string(1, static_cast<char>('a' + group.rank()))),
              (std::vector<std::string>{"a", "b", "c"}));
  });
}

TEST(Group, TheFirstLineThatDiffersIsNamed) {
  in_processes(2, [](Group& group) {
    group.require_same("version", "1.0");
    const std::string refusal =
        message([&] { group.require_same("settings", group.first() ? "a = 1\nb = 2" : "a = 1\nb = 3"); });
    EXPECT_THAT(refusal, HasSubstr("must have the same settings: rank 1 of 2 on "));
    EXPECT_THAT(refusal, HasSubstr("has 'b = 3', and rank 0 has 'b = 2'"));
  });
}

TEST(Group, AMissingProcessIsNamed) {
  if (const std::string missing = gloo_missing(); !missing.empty()) GTEST_SKIP() << missing;
  Place place = place_of(0, 2);
  EXPECT_THAT(message([&] { Group(place, 1); }), HasSubstr("1 of 2 processes did not arrive within 1 s: rank 1"));
  place = place_of(1, 2);
  EXPECT_THAT(message([&] { Group(place, 1); }), HasSubstr("rank 1 of 2 did not reach rank 0 at 127.0.0.1:"));
}

TEST(Group, ProcessesAgreeAboutTheirNumber) {
  if (const std::string missing = gloo_missing(); !missing.empty()) GTEST_SKIP() << missing;
  const int port = free_port();
  const auto join = [port](int rank, int world) {
    return message([&] {
      Place place = place_of(rank, world);
      place.port = port;
      Group(place, 2);
    });
  };
  std::string first;
  std::thread rank0([&] { first = join(0, 3); });
  std::thread rank2([&] { join(2, 3); });
  EXPECT_THAT(join(1, 2), HasSubstr("rank 0 of 2 on"));
  rank0.join();
  rank2.join();
  EXPECT_THAT(first, HasSubstr("was started as one of 2 processes, and rank 0 as one of 3"));
}

TEST(Group, AFailureReachesTheOthersInWords) {
  in_processes(3, [](Group& group) {
    if (group.rank() == 1) return group.fail("no space left on the disk");
    const at::Tensor x = at::ones({4});
    EXPECT_THAT(message([&] { group.sum(x); }), HasSubstr("because rank 1 of 3 on "));
    EXPECT_THAT(message([&] { group.sum(x); }), HasSubstr("no longer connected"));
  });
}

TEST(Group, AProcessThatDoesNotTakePartIsNamedWithinTheTimeout) {
  in_processes(2, 4, [](Group& group) {
    const auto start = std::chrono::steady_clock::now();
    const auto seconds = [&] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    if (group.rank() == 1) return std::this_thread::sleep_for(std::chrono::seconds(5));
    EXPECT_THAT(message([&] { group.sum(at::ones({4})); }), HasSubstr("did not take part within 4 s"));
    EXPECT_LT(seconds(), 4.5);
  });
}

}  // namespace
}  // namespace grapes::dist
