#include "grapes/base/memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <string>

namespace grapes {
namespace {

TEST(Memory, IsAtMostWhatTheMachineHas) {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::uint64_t kilobytes = 0;
  ASSERT_TRUE(file >> name >> kilobytes);
  ASSERT_EQ(name, "MemTotal:");
  EXPECT_GT(available_memory(), 0U);
  EXPECT_LE(available_memory(), kilobytes * 1024);
}

TEST(Memory, IsAtMostTheLimitOfTheAddressSpace) {
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &old), 0);
  if (old.rlim_max != RLIM_INFINITY) GTEST_SKIP() << "the address space has a limit already";
  rlimit low = old;
  low.rlim_cur = rlim_t{1} << 40;
  ASSERT_EQ(setrlimit(RLIMIT_AS, &low), 0);
  EXPECT_LT(available_memory(), std::uint64_t{1} << 40);
  low.rlim_cur = 1 << 20;  // less than what is in use
  ASSERT_EQ(setrlimit(RLIMIT_AS, &low), 0);
  const std::uint64_t none = available_memory();
  ASSERT_EQ(setrlimit(RLIMIT_AS, &old), 0);
  EXPECT_EQ(none, 0U);
}

}  // namespace
}  // namespace grapes
