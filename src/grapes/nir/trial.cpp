#include "grapes/nir/trial.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace grapes::nir {

bool survives(const std::function<void()>& act, int seconds) {
  const pid_t child = ::fork();
  if (child < 0) return true;  // then it is done here alone
  if (child == 0) {
    const rlimit none{0, 0}, limit{static_cast<rlim_t>(seconds), static_cast<rlim_t>(seconds)};
    ::setrlimit(RLIMIT_CORE, &none);
    ::setrlimit(RLIMIT_CPU, &limit);
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGINT, SIGTERM, SIGXCPU, SIGALRM})
      std::signal(signal, SIG_DFL);
    ::alarm(2 * static_cast<unsigned>(seconds));  // waiting takes no processor
    try {
      act();
    } catch (...) {
    }
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace grapes::nir
