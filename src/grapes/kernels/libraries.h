#pragma once

#include <string>

/// The libraries that compute the kernels' products, beside LibTorch or inside it (cmake/LibTorch.cmake chooses them).
namespace grapes::kernels {

/// Returns a function of the BLAS that is linked or of the OpenMP beneath it, or null if there is none of that name.
/// The address is looked up at run time, because Debian lets its user exchange the BLAS.
void* blas_symbol(const char* name);
template <class Function>
Function* blas_function(const char* name) {
  return reinterpret_cast<Function*>(blas_symbol(name));
}

/// Returns the name and version of the BLAS, and the processor that OpenBLAS's kernels are for; or "reference, or
/// another that does not say".
std::string blas_name();
/// Returns why the BLAS is slower than it could be: its kernels are for a processor with older instructions than this
/// one. Returns "" if they are not, or if the BLAS does not say.
std::string blas_outdated();
/// The same for OpenBLAS's kernels named `core`. @param here  a name in instruction_sets() @param forced  value of
/// OPENBLAS_CORETYPE, or null
std::string outdated(const std::string& core, const std::string& here, const char* forced);

/// Returns oneDNN's version, or why the kernels do not use it.
std::string onednn_name();

}  // namespace grapes::kernels
