#pragma once

#include <functional>
#include <string>
#include <vector>

namespace grapes::dist {

/// Returns a port of the loopback address that is free now.
int free_port();

/// Several processes of one program on this machine.
struct Launch {
  int processes = 2;
  std::vector<std::string> command;  ///< program and arguments
  double timeout = 120;              ///< seconds until processes are killed that do not end after another one failed
  int restarts = 0;                  ///< how many times all are started again after one was killed or failed
  std::function<void(const std::string&)> say = {};  ///< receives messages for people
};

/// Runs them with the environment that place_in() reads. SIGINT and SIGTERM are sent on to the processes. They end when
/// this process dies.
/// @return the exit code of the first process that failed, 1 if it was killed by a signal, or 0
int launch(const Launch& launch);

}  // namespace grapes::dist
