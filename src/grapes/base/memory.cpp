#include "grapes/base/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

namespace grapes {
namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

std::uint64_t rest(std::uint64_t limit, std::uint64_t used) { return limit > used ? limit - used : 0; }

/// The number in a file of the kernel; `otherwise` if the file is missing or says "max".
std::uint64_t number_in(const std::filesystem::path& path, std::uint64_t otherwise) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  return file >> number ? number : otherwise;
}

std::uint64_t of_system() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::uint64_t kilobytes = 0;
  for (std::string line; file >> name >> kilobytes; std::getline(file, line))
    if (name == "MemAvailable:") return kilobytes * 1024;
  return unlimited;
}

/// The memory that the limits of this process's control group, and of the groups that contain it, leave.
std::uint64_t of_control_group() {
  std::ifstream file("/proc/self/cgroup");
  std::uint64_t least = unlimited;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("0::/")) continue;  // version 2
    const std::filesystem::path root = "/sys/fs/cgroup";
    for (std::filesystem::path group = root / line.substr(4); group.string().size() > root.string().size();
         group = group.parent_path())
      least = std::min(least, rest(number_in(group / "memory.max", unlimited), number_in(group / "memory.current", 0)));
    least = std::min(least, rest(number_in(root / "memory.max", unlimited), number_in(root / "memory.current", 0)));
  }
  return least;
}

std::uint64_t of_address_space() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return unlimited;
  const std::uint64_t pages = number_in("/proc/self/statm", 0);
  return rest(limit.rlim_cur, pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)));
}

}  // namespace

std::uint64_t available_memory() { return std::min({of_system(), of_control_group(), of_address_space()}); }

}  // namespace grapes
