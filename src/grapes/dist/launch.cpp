#include "grapes/dist/launch.h"

#include "grapes/base/error.h"
#include "grapes/base/interrupt.h"
#include "grapes/base/stopwatch.h"
#include "grapes/base/text.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

namespace grapes::dist {
namespace {

/// How a process ended.
struct End {
  int rank = 0;
  int code = 0;        // exit code, or 1 after a signal
  bool again = false;  // whether it may succeed if it is started again
  std::string words;
};

End end_of(int rank, pid_t process, int status) {
  const std::string who = fmt::format("rank {} (process {})", rank, process);
  if (WIFSIGNALED(status))
    return {rank, 1, true,
            fmt::format("{} was killed by signal {} ({})", who, WTERMSIG(status), strsignal(WTERMSIG(status)))};
  const int code = WEXITSTATUS(status);
  // Wrong usage, bad data and divergence repeat themselves.
  return {rank, code, code == 1, fmt::format("{} ended with exit code {}", who, code)};
}

pid_t start(const Launch& launch, const std::vector<std::pair<std::string, std::string>>& variables) {
  std::vector<char*> arguments;
  for (const std::string& word : launch.command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = getpid(), child = fork();
  if (child < 0) throw RunError(fmt::format("cannot start a process: {}", std::strerror(errno)));
  if (child > 0) {
    setpgid(child, child);  // here too, because the child may not have come to it when it gets a signal
    return child;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  setpgid(0, 0);  // Ctrl-C reaches the parent only, which sends the signal on
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  execv(arguments[0], arguments.data());
  const std::string why = fmt::format("cannot run {}: {}\n", launch.command[0], std::strerror(errno));
  if (write(2, why.data(), why.size()) < 0) _exit(126);
  _exit(127);
}

/// Runs all processes once. @return the end of the first that failed
std::optional<End> run_once(const Launch& launch, int attempt, const std::string& started) {
  const std::string port = std::to_string(free_port()), world = std::to_string(launch.processes);
  std::vector<pid_t> children;  // 0: it has ended
  for (int rank = 0; rank < launch.processes; ++rank)
    children.push_back(start(launch, {{"RANK", std::to_string(rank)},
                                      {"WORLD_SIZE", world},
                                      {"LOCAL_RANK", std::to_string(rank)},
                                      {"LOCAL_WORLD_SIZE", world},
                                      {"MASTER_ADDR", "127.0.0.1"},
                                      {"MASTER_PORT", port},
                                      {"TORCHELASTIC_RESTART_COUNT", std::to_string(attempt)},
                                      {"GRAPES_LAUNCH", started}}));
  std::optional<End> failure;
  Stopwatch since_failure;
  int left = launch.processes, sent = 0;
  const auto send = [&](int signal) {
    for (const pid_t child : children)
      if (child != 0) kill(-child, signal);  // with the processes that it has started
  };
  while (left > 0) {
    for (int rank = 0; rank < launch.processes; ++rank) {
      pid_t& child = children[static_cast<std::size_t>(rank)];
      int status = 0;
      if (child == 0 || waitpid(child, &status, WNOHANG) != child) continue;
      const End end = end_of(rank, std::exchange(child, 0), status);
      --left;
      if (end.code == 0) continue;
      if (!failure && sent == 0 && launch.say) launch.say(end.words);
      if (failure) continue;
      failure = end;
      since_failure = {};
    }
    if (const int signal = interrupt::pending(); signal != 0 && sent == 0) {
      sent = signal;
      send(signal);
    }
    if (failure && since_failure.seconds() > launch.timeout) send(SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return failure;
}

}  // namespace

int free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const bool bound = socket >= 0 && bind(socket, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                     getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  if (socket >= 0) close(socket);
  if (!bound) throw RunError(fmt::format("cannot open a port at 127.0.0.1: {}", std::strerror(errno)));
  return ntohs(address.sin_port);
}

int launch(const Launch& launch) {
  std::signal(SIGCHLD, SIG_DFL);  // if the parent ignores it, processes that end leave no exit code
  const std::string started = fmt::format("{}-{}", utc_now("%Y%m%d-%H%M%S"), getpid());
  for (int attempt = 0;; ++attempt) {
    const std::optional<End> failure = run_once(launch, attempt, started);
    if (!failure) return 0;
    // A process that was interrupted before training began has died of the signal.
    if (const int signal = interrupt::pending(); signal != 0) return failure->code == 1 ? 128 + signal : failure->code;
    if (!failure->again || attempt == launch.restarts) return failure->code;
    if (launch.say) launch.say(fmt::format("starting all processes again ({} of {})", attempt + 1, launch.restarts));
  }
}

}  // namespace grapes::dist
