#include "grapes/experiment/environment.h"

#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/experiment/version.h"
#include "grapes/kernels/bfloat16.h"
#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/libraries.h"
#include "grapes/kernels/threads.h"

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <sys/utsname.h>
#include <torch/version.h>

#include <algorithm>
#include <thread>

namespace grapes::experiment {
namespace {

/// Returns the value of a line "name : value" in a file of /proc.
std::string proc_field(const std::string& file, const std::string& name) {
  try {
    for (const std::string& line : split(read_file(file), '\n'))
      if (line.rfind(name, 0) == 0) return std::string(trim(line.substr(line.find(':') + 1)));
  } catch (const DataError&) {  // not Linux: unknown
  }
  return "unknown";
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

record::Json environment(const Config& config) {
  const Version& here = version();
  const kernels::Threads threads = kernels::threads();
  const std::string outdated = kernels::blas_outdated();
  return {{"grapes", here.number},
          {"git", here.git.empty() ? record::Json() : record::Json(here.git)},
          {"git_dirty", here.dirty},
          {"libtorch", TORCH_VERSION},
          {"compiler", compiler()},
          {"blas", kernels::blas_name()},
          {"blas_outdated", outdated.empty() ? record::Json(false) : record::Json(outdated)},
          {"onednn", kernels::onednn_name()},
          {"bfloat16", kernels::bfloat16_missing().empty() ? "oneDNN" : "emulated: " + kernels::bfloat16_missing()},
          {"instruction_set", kernels::instruction_set().name},
          {"thread_policy", threads.policy},
          {"blas_threads", threads.blas >= 0 ? record::Json(threads.blas) : record::Json()},
          {"libtorch_threads", threads.libtorch},
          {"device", config.network.device},
          {"threads", config.threads},
          {"jobs", config.jobs},
          {"mkldnn", at::globalContext().userEnabledMkldnn() && at::hasMKLDNN()},
          {"cpu", proc_field("/proc/cpuinfo", "model name")},
          {"cores", std::thread::hardware_concurrency()},
          {"memory", proc_field("/proc/meminfo", "MemTotal")},
          {"system", system_name()},
          {"time", utc_now()}};
}

void take_threads(const Config& config) {
  // oneDNN's convolutions run on LibTorch's threads.
  const bool convolves = nn::has(nn::stages_of(config.network.model, {}), nn::Stage::Do::convolve);
  kernels::set_threads(config.threads, convolves ? kernels::Pool::libtorch : kernels::Pool::blas);
}

}  // namespace grapes::experiment
