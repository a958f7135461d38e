#include "grapes/dist/launch.h"

#include "grapes/base/file.h"
#include "grapes/base/stopwatch.h"

#include <gmock/gmock.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

namespace grapes::dist {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Runs a shell command in each process. @return the exit code
int run(const std::string& command, std::vector<std::string>& said, int processes = 2, int restarts = 0,
        double timeout = 30) {
  Launch launch;
  launch.processes = processes;
  launch.command = {"/bin/sh", "-c", command};
  launch.restarts = restarts;
  launch.timeout = timeout;
  launch.say = [&](const std::string& text) { said.push_back(text); };
  return dist::launch(launch);
}

TEST(Launch, EachProcessKnowsItsPlace) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "launch_places";
  std::filesystem::create_directories(folder);
  std::vector<std::string> said;
  EXPECT_EQ(run("echo $WORLD_SIZE $LOCAL_RANK $MASTER_ADDR > " + folder.string() + "/$RANK", said, 3), 0);
  for (const char* rank : {"0", "1", "2"})
    EXPECT_EQ(read_file(folder / rank), std::string("3 ") + rank + " 127.0.0.1\n");
  EXPECT_TRUE(said.empty());
}

TEST(Launch, TheFirstFailureIsTheExitCode) {
  std::vector<std::string> said;
  EXPECT_EQ(run("[ $RANK = 0 ] || exit 3", said, 2, 5), 3);  // exit code 3 is not repeated
  EXPECT_THAT(said, ElementsAre(HasSubstr("ended with exit code 3")));
}

TEST(Launch, AKilledProcessIsStartedAgainAndOthersAreEndedWithTheirChildren) {
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "launch_child";
  std::vector<std::string> said;
  const Stopwatch watch;
  EXPECT_EQ(run("[ $TORCHELASTIC_RESTART_COUNT = 0 ] || exit 0; [ $RANK = 1 ] && sleep 1 && kill -9 $$; "
                "sleep 60 & echo $! > " +
                    file.string() + "; wait",
                said, 2, 1, 0.2),
            0);
  EXPECT_LT(watch.seconds(), 20);
  EXPECT_THAT(said, ElementsAre(HasSubstr("was killed by signal 9"), "starting all processes again (1 of 1)"));
  const pid_t child = std::stoi(read_file(file));
  while (kill(child, 0) == 0 && watch.seconds() < 20) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_NE(kill(child, 0), 0) << "a process that rank 0 has started is still running";
}

}  // namespace
}  // namespace grapes::dist
