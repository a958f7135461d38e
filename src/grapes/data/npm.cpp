#include "grapes/data/npm.h"

#include "grapes/base/error.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <vector>

namespace grapes::data {
namespace fs = std::filesystem;

fs::path npm_install(const std::string& package, const fs::path& folder) {
  std::vector<std::string> words = {"npm",       "install",    "--prefix",  folder.string(), "--ignore-scripts",
                                    "--no-save", "--no-audit", "--no-fund", "--silent",      "--no-package-lock",
                                    package};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {  // its talk is not ours
    posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_RDWR, 0);
  }
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, "npm", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed) throw DataError(std::string("npm cannot be started: ") + std::strerror(failed));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw DataError("npm could not install the package " + package);
  return folder / "node_modules" / package;
}

}  // namespace grapes::data
