#include "grapes/kernels/libraries.h"

#include "grapes/base/text.h"
#include "grapes/kernels/instruction_set.h"
#include "grapes/kernels/onednn.h"

#include <ATen/Context.h>
#include <dlfcn.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

namespace grapes::kernels {
namespace {

/// The instructions that OpenBLAS's kernels use. All its other kernels for x86-64 use older ones.
struct Core {
  const char *name, *instruction_set;
};
constexpr std::array<Core, 6> cores = {{{"Haswell", "avx2"},
                                        {"Zen", "avx2"},
                                        {"Excavator", "avx2"},
                                        {"SkylakeX", "avx512"},
                                        {"Cooperlake", "avx512"},
                                        {"SapphireRapids", "avx512"}}};

std::string openblas_core() {
  auto* core = blas_function<char*()>("openblas_get_corename");
  return core != nullptr ? core() : "";
}

}  // namespace

void* blas_symbol(const char* name) { return dlsym(RTLD_DEFAULT, name); }

std::string blas_name() {
  if (auto* config = blas_function<char*()>("openblas_get_config"))
    return std::string(trim(config())) + ", kernels for " + openblas_core();
  if (auto* version = blas_function<void(char*, int)>("MKL_Get_Version_String")) {
    std::array<char, 256> text{};
    version(text.data(), static_cast<int>(text.size()) - 1);
    return std::string(trim(text.data()));
  }
  return "unknown: the library does not tell its name";
}

std::string outdated(const std::string& core, const std::string& here, const char* forced) {
  const auto generation = [](std::string_view set) { return set == "avx512" ? 2 : set == "avx2" ? 1 : 0; };
  const auto row = std::find_if(cores.begin(), cores.end(),  // its builds differ in upper and lower case
                                [&](const Core& each) { return strcasecmp(each.name, core.c_str()) == 0; });
  const std::string used = row != cores.end() ? row->instruction_set : "older instructions";
  if (core.empty() || generation(used) >= generation(here)) return "";
  const std::string better = here == "avx512" ? "SkylakeX" : "Haswell";
  return "OpenBLAS's kernels for " + core + " use " + used + ", and this processor has " + here + ": " +
         (forced != nullptr ? "unset OPENBLAS_CORETYPE, which is " + std::string(forced)
                            : "set OPENBLAS_CORETYPE=" + better + ", or install a newer OpenBLAS");
}

std::string blas_outdated() {
  return outdated(openblas_core(), instruction_sets().back().name, std::getenv("OPENBLAS_CORETYPE"));
}

std::string onednn_name() {
#ifdef GRAPES_ONEDNN
  const dnnl_version_t* version = dnnl_version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." + std::to_string(version->patch);
#else
  return at::hasMKLDNN() ? "only the one inside LibTorch, which the kernels cannot use" : "none";
#endif
}

}  // namespace grapes::kernels
