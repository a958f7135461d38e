#include "grapes/dist/place.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"

#include <fmt/format.h>

#include <cstdlib>
#include <limits>
#include <string_view>

namespace grapes::dist {
namespace {

constexpr int default_port = 29500;  // as PyTorch's

int integer(const Environment& environment, const char* name, int otherwise, int least, int most) {
  const auto text = environment(name);
  if (!text) return otherwise;
  const auto value = to_integer(*text);
  if (!value || *value < least || *value > most)
    throw UsageError(fmt::format("the environment variable {} must be an integer from {} to {}; got '{}'", name, least,
                                 most, *text));
  return static_cast<int>(*value);
}

/// Returns the first host of a list of Slurm: "n3-ib" of "n[3-5,9]-ib,m1".
std::string first_host(const std::string& list) {
  std::string host;
  for (std::size_t i = 0; i < list.size() && list[i] != ','; ++i) {
    if (list[i] != '[') {
      host += list[i];
      continue;
    }
    const std::size_t end = list.find(']', i);
    host += list.substr(i + 1, list.find_first_of(",-]", i) - i - 1);
    if (end == std::string::npos) break;
    i = end;
  }
  return host;
}

void check(const Place& place) {
  if (place.rank >= place.world)
    throw UsageError(fmt::format("{}: the rank must be below the number of processes, {}; got {}", place.starter,
                                 place.world, place.rank));
  if (place.world > 1 && place.master.empty())
    throw UsageError(fmt::format("{}: the environment variable MASTER_ADDR is missing; set it to the host of rank 0",
                                 place.starter));
}

}  // namespace

Environment environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    return value == nullptr || *value == 0 ? std::nullopt : std::optional<std::string>(value);
  };
}

Place place_in(const Environment& environment) {
  Place place;
  const auto number = [&](const char* name, int otherwise, int least = 0, int most = std::numeric_limits<int>::max()) {
    return integer(environment, name, otherwise, least, most);
  };
  place.master = environment("MASTER_ADDR").value_or("");
  if (environment("RANK") || environment("WORLD_SIZE")) {
    for (const char* name : {"RANK", "WORLD_SIZE"})
      if (!environment(name))
        throw UsageError(fmt::format("the environment variable {} is missing, although {} is set", name,
                                     std::string_view(name) == "RANK" ? "WORLD_SIZE" : "RANK"));
    place.starter = environment("GRAPES_LAUNCH")         ? "grapes launch"
                    : environment("TORCHELASTIC_RUN_ID") ? "torchrun"
                                                         : "RANK and WORLD_SIZE";
    place.rank = number("RANK", 0);
    place.world = number("WORLD_SIZE", 1, 1);
    place.local_rank = number("LOCAL_RANK", 0);
    place.port = default_port;
  } else if (environment("OMPI_COMM_WORLD_SIZE")) {
    place.starter = "Open MPI";
    place.rank = number("OMPI_COMM_WORLD_RANK", 0);
    place.world = number("OMPI_COMM_WORLD_SIZE", 1, 1);
    place.local_rank = number("OMPI_COMM_WORLD_LOCAL_RANK", 0);
    place.port = default_port;
    if (place.master.empty() && number("OMPI_COMM_WORLD_LOCAL_SIZE", 0) == place.world) place.master = "127.0.0.1";
  } else if (environment("SLURM_STEP_NUM_TASKS") && environment("SLURM_PROCID")) {
    // SLURM_NTASKS does not count: it is also set in a batch script, which runs as one process.
    place.starter = "Slurm";
    place.rank = number("SLURM_PROCID", 0);
    place.world = number("SLURM_STEP_NUM_TASKS", 1, 1);
    place.local_rank = number("SLURM_LOCALID", 0);
    place.restarts = number("SLURM_RESTART_COUNT", 0);
    // Jobs on the same host must not share a port, and neither must the steps of a job. Above 32,768, the system gives
    // ports to clients.
    place.port = 20000 + (number("SLURM_JOB_ID", 0) % 12000 + 97 * (number("SLURM_STEP_ID", 0) % 100)) % 12000;
    if (place.master.empty()) place.master = first_host(environment("SLURM_STEP_NODELIST").value_or(""));
  }
  place.port = number("MASTER_PORT", place.port, 1, 65535);
  place.restarts = number("TORCHELASTIC_RESTART_COUNT", place.restarts);
  // torchrun listens at MASTER_PORT itself. Its store cannot be used, because the protocol of the store differs between
  // versions of PyTorch.
  if (environment("TORCHELASTIC_USE_AGENT_STORE") == "True") ++place.port;
  check(place);
  return place;
}

std::string describe(const Place& place) {
  if (place.alone()) return "1";
  return fmt::format("rank {} of {}, started by {}, rank 0 at {}:{}", place.rank, place.world, place.starter,
                     place.master, place.port);
}

}  // namespace grapes::dist
