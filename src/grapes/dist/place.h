#pragma once

#include <functional>
#include <optional>
#include <string>

/// One training in several processes, on PyTorch's c10d and Gloo.
namespace grapes::dist {

/// The place of this process among the processes of one training. Whatever starts the processes writes it to the
/// environment.
struct Place {
  int rank = 0;         ///< number of this process, from 0
  int world = 1;        ///< number of processes
  int local_rank = 0;   ///< number of this process among those of its machine
  std::string master;   ///< host of rank 0
  int port = 0;         ///< at which rank 0 listens
  int restarts = 0;     ///< how many times this training was started again
  std::string starter;  ///< what wrote the environment: "torchrun", "Open MPI", "Slurm", ...; "": this process is alone

  bool alone() const { return world == 1; }
  bool first() const { return rank == 0; }
};

using Environment = std::function<std::optional<std::string>(const char* name)>;
/// Returns the variables of this process.
Environment environment();

/// Reads the place from RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT; else from the variables of Open MPI,
/// or of a step that Slurm's srun started.
/// @throws UsageError with the variable that is missing or wrong
Place place_in(const Environment& environment);

/// Returns "rank 1 of 4, started by torchrun, rank 0 at 10.0.0.1:29500", or "1".
std::string describe(const Place& place);

}  // namespace grapes::dist
