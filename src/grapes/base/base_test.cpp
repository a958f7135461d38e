#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/interrupt.h"
#include "grapes/base/random.h"
#include "grapes/base/table.h"
#include "grapes/base/text.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <numeric>
#include <set>
#include <string>
#include <thread>

namespace grapes {
namespace {

namespace fs = std::filesystem;

TEST(Random, StreamsDependOnNameSeedAndNumbers) {
  const std::set<std::uint64_t> seeds = {stream_seed(1, "init"),       stream_seed(2, "init"),
                                         stream_seed(1, "order"),      stream_seed(1, "init", 1),
                                         stream_seed(1, "init", 0, 1), stream_seed(1, "")};
  EXPECT_EQ(seeds.size(), 6U);
  EXPECT_EQ(stream_seed(7, "dropout", 3, 4), stream_seed(7, "dropout", 3, 4));
}

TEST(Random, IsTheSameOnEveryPlatform) {
  // xoshiro256** from four words of splitmix64(0), computed with Python's integers.
  Random random(0);
  EXPECT_EQ(random(), 0x99ec5f36cb75f2b4ULL);
  EXPECT_EQ(random(), 0xbf6e1f784956452aULL);
}

TEST(Random, UniformAndNormalNumbersHaveTheRightMoments) {
  Random random(5);
  const int n = 200000;
  double uniform = 0, normal = 0, square = 0;
  for (int i = 0; i < n; ++i) {
    const double u = random.uniform(), z = random.normal();
    ASSERT_TRUE(u >= 0 && u < 1);
    uniform += u / n;
    normal += z / n;
    square += z * z / n;
  }
  EXPECT_NEAR(uniform, 0.5, 5 * std::sqrt(1.0 / 12 / n));
  EXPECT_NEAR(normal, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(square, 1, 5 * std::sqrt(2.0 / n));
}

TEST(Random, BelowIsUnbiasedAndAPermutationHasEveryNumberOnce) {
  Random random(9);
  std::vector<int> counts(3);
  for (int i = 0; i < 30000; ++i) ++counts[random.below(3)];
  for (const int count : counts) EXPECT_NEAR(count, 10000, 5 * std::sqrt(30000 * 2.0 / 9));
  std::vector<std::int64_t> order = permutation(100, random), sorted = order, identity(100);
  std::iota(identity.begin(), identity.end(), 0);
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(sorted, identity);
  EXPECT_NE(order, identity);
  EXPECT_TRUE(permutation(0, random).empty());
}

TEST(Text, SplitsJoinsAndTrims) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(split("", ','), std::vector<std::string>{""});
  EXPECT_EQ(join({"a", "b"}, ", "), "a, b");
  EXPECT_EQ(trim(" \t x y\r\n"), "x y");
  EXPECT_EQ(trim("  "), "");
}

TEST(Text, ReadsOnlyIntegers) {
  EXPECT_EQ(to_double("1e-3"), 1e-3);
  EXPECT_EQ(to_double("+2"), 2);
  for (const char* text : {"", " 1", "1x", "1,5", "--1"}) EXPECT_FALSE(to_double(text)) << text;
  EXPECT_EQ(to_integer("-12"), -12);
  for (const char* text : {"", "1.0", "99999999999999999999"}) EXPECT_FALSE(to_integer(text)) << text;
  for (const double value : {0.1, 1e300, -2.5e-7, 3.0}) EXPECT_EQ(to_double(shortest(value)), value);
}

TEST(Text, WidthsAreThoseInATerminal) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width(""), 0U);
  EXPECT_EQ(display_width("Zürich"), 6U);
  EXPECT_EQ(display_width("日本"), 4U);
  EXPECT_EQ(columns({{"name", "n"}, {"Zürich", "10"}, {"日本", "7"}}, "lr"),
            "name     n\n"
            "Zürich  10\n"
            "日本     7\n");
}

TEST(Text, SuggestsSimilarNames) {
  const std::vector<std::string> names = {"momentum", "nag", "rmsprop"};
  EXPECT_EQ(nearest("momentun", names), "momentum");
  EXPECT_EQ(nearest("rmsporp", names), "rmsprop");
  EXPECT_FALSE(nearest("completely-else", names));
  EXPECT_EQ(did_you_mean("nga", names), " (did you mean 'nag'?)");
}

TEST(Table, FindsARowOrListsTheAvailableOnes) {
  struct Row {
    std::string name;
  };
  const std::vector<Row> rows = {{"relu"}, {"tanh"}};
  EXPECT_EQ(&find_row(rows, "activation", "tanh"), &rows[1]);
  try {
    find_row(rows, "activation", "rely");
    FAIL() << "found";
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "unknown activation 'rely' (did you mean 'relu'?); available: relu, tanh");
  }
}

TEST(Error, NamesTheSetting) {
  const UsageError error("pad", "8: the images are larger");
  EXPECT_STREQ(error.what(), "pad 8: the images are larger");
  EXPECT_EQ(error.field(), "pad");
  EXPECT_EQ(DataError("x.csv: is empty").field(), "");
}

class Files : public testing::Test {
 protected:
  const fs::path folder_ = fs::temp_directory_path() / ("grapes-base-" + std::to_string(::getpid()));
  void TearDown() override { fs::remove_all(folder_); }
};

TEST_F(Files, AreReplacedAndLeaveNoTemporaryFiles) {
  const fs::path file = folder_ / "deep" / "x.txt";
  write_file(file, "one");
  write_file(file, "two");
  append_line(file, "three");
  EXPECT_EQ(read_file(file), "twothree\n");
  EXPECT_EQ(std::distance(fs::directory_iterator(file.parent_path()), {}), 1);
}

TEST_F(Files, ErrorsSayWhyAFileCannotBeUsed) {
  const auto message = [](const auto& action) -> std::string {
    try {
      action();
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  };
  fs::create_directories(folder_ / "taken");
  EXPECT_NE(message([&] { read_file(folder_ / "none"); }).find("No such file"), std::string::npos);
  EXPECT_NE(message([&] { read_file(folder_ / "taken"); }).find("it is a folder"), std::string::npos);
  EXPECT_NE(message([&] { write_file(folder_ / "taken", "x"); }).find("taken"), std::string::npos);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "no half file may stay";
  EXPECT_NE(message([&] { write_file("/dev/null/x", "x"); }).find("/dev/null"), std::string::npos);
}

TEST_F(Files, ThatDoNotExistAreNoErrorIfTheCallerAllowsIt) {
  EXPECT_FALSE(read_file_if_exists(folder_ / "none"));
  const std::string large(100000, 'x');
  write_file(folder_ / "large", large);
  EXPECT_EQ(read_file_if_exists(folder_ / "large"), large);
  EXPECT_FALSE(read_file_if_exists(folder_ / "large" / "in a file"));
  EXPECT_GT(read_file("/proc/self/stat").size(), 10U) << "a file whose size is said to be 0";
  EXPECT_THROW(read_file_if_exists(folder_), DataError);
}

TEST_F(Files, AreCreatedOnce) {
  EXPECT_TRUE(create_file(folder_ / "x", "first"));
  EXPECT_FALSE(create_file(folder_ / "x", "second"));
  EXPECT_EQ(read_file(folder_ / "x"), "first");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

/// Makes link() fail in this process as on a file system without hard links.
bool forbid_links() {
  const auto number = offsetof(seccomp_data, nr);
  sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number),
#ifdef SYS_link
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_link, 1, 0),
#endif
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_linkat, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {std::size(steps), steps};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST_F(Files, AreCreatedOnceWithoutHardLinks) {
  write_file(folder_ / "old", "old");
  const pid_t child = ::fork();
  if (child == 0) {
    if (!forbid_links()) ::_exit(77);
    const bool good = ::link((folder_ / "old").c_str(), (folder_ / "link").c_str()) != 0 &&
                      create_file(folder_ / "x", "first") && !create_file(folder_ / "x", "second") &&
                      !create_file(folder_ / "old", "new");
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77)
    GTEST_SKIP() << "seccomp is not available, which stands for a file system without links";
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(read_file(folder_ / "x"), "first");
  EXPECT_EQ(read_file(folder_ / "old"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 2) << "no temporary file may stay";
}

TEST_F(Files, AreWrittenWhileOthersRemoveTheEmptyFolder) {
  std::atomic<bool> done = false;
  std::thread other([&] {
    while (!done) ::rmdir((folder_ / "shared").c_str());
  });
  for (int i = 0; i < 100; ++i) {
    EXPECT_NO_THROW(write_file(folder_ / "shared" / "x", "x"));
    fs::remove(folder_ / "shared" / "x");
  }
  done = true;
  other.join();
}

TEST_F(Files, HaveTheRightSha256) {
  // FIPS 180-2, appendix B.1.
  const char* abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(sha256("abc"), abc);
  write_file(folder_ / "abc", "abc");
  EXPECT_EQ(sha256_file(folder_ / "abc"), abc);
}

TEST(Interrupt, RemembersTheSignal) {
  interrupt::install();
  EXPECT_EQ(interrupt::pending(), 0);
  std::raise(SIGTERM);
  EXPECT_EQ(interrupt::pending(), SIGTERM);
  std::raise(SIGTERM);  // from another sender of the same request: the program still ends by itself
  EXPECT_EQ(interrupt::pending(), SIGTERM);
  interrupt::clear();
  EXPECT_EQ(interrupt::pending(), 0);
}

}  // namespace
}  // namespace grapes
