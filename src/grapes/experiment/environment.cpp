#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/experiment/run.h"
#include "grapes/experiment/version.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <sys/utsname.h>
#include <torch/version.h>

#include <algorithm>
#include <ctime>
#include <thread>

namespace grapes::experiment {
namespace {

/// A function of whatever BLAS the program was started with; null if it has none of that name.
template <class Function>
Function* blas_function(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

enum class OpenBlas { absent = -1, sequential = 0, pthreads = 1, openmp = 2 };
OpenBlas openblas() {
  auto* kind = blas_function<int()>("openblas_get_parallel");
  return kind != nullptr ? static_cast<OpenBlas>(kind()) : OpenBlas::absent;
}

std::string blas() {
  auto* config = blas_function<char*()>("openblas_get_config");
  if (config == nullptr) return "reference, or another that does not say";
  auto* core = blas_function<char*()>("openblas_get_corename");
  return std::string(trim(config())) + (core != nullptr ? std::string(", kernels for ") + core() : "");
}

/// The value of a line "name : value" in a file of /proc.
std::string proc_field(const std::string& file, const std::string& name) {
  try {
    for (const std::string& line : split(read_file(file), '\n'))
      if (line.rfind(name, 0) == 0) return std::string(trim(line.substr(line.find(':') + 1)));
  } catch (const DataError&) {  // not Linux: then it stays unknown
  }
  return "unknown";
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string system_name() {
  utsname name{};
  if (uname(&name) != 0) return "unknown";
  return std::string(name.sysname) + " " + name.release + " " + name.machine;
}

std::string compiler() {
#if defined(__clang__)
  return std::string("clang ") + __clang_version__;
#else
  return std::string("g++ ") + __VERSION__;
#endif
}

}  // namespace

void set_threads(std::int64_t threads) {
  const int n = static_cast<int>(std::max<std::int64_t>(threads, 1));
  auto* set_blas = blas_function<void(int)>("openblas_set_num_threads");
  if (set_blas != nullptr && openblas() == OpenBlas::pthreads) {
    // Two pools of threads that wait by spinning fight over the cores: the matrix products get them all.
    at::set_num_threads(1);
    set_blas(n);
  } else {
    at::set_num_threads(n);
    if (set_blas != nullptr) set_blas(n);
  }
}

record::Json environment(const Config& config) {
  const Version& here = version();
  auto* blas_threads = blas_function<int()>("openblas_get_num_threads");
  return {{"grapes", here.number},
          {"git", here.git.empty() ? record::Json() : record::Json(here.git)},
          {"git_dirty", here.dirty},
          {"libtorch", TORCH_VERSION},
          {"compiler", compiler()},
          {"blas", blas()},
          {"blas_threads", blas_threads != nullptr ? record::Json(blas_threads()) : record::Json()},
          {"libtorch_threads", at::get_num_threads()},
          {"threads", config.threads},
          {"jobs", config.jobs},
          {"mkldnn", at::globalContext().userEnabledMkldnn() && at::hasMKLDNN()},
          {"cpu", proc_field("/proc/cpuinfo", "model name")},
          {"cores", std::thread::hardware_concurrency()},
          {"memory", proc_field("/proc/meminfo", "MemTotal")},
          {"system", system_name()},
          {"time", utc_now()}};
}

}  // namespace grapes::experiment
