# LibTorch, and which BLAS and oneDNN the kernels use beside it. Two thread pools would slow each other down, so both are
# decided here, once: what LibTorch itself uses, or none. `grapes env` prints the result.

# The LibTorch that has CMake files inside the PyTorch of this Python, as those from PyPI do; else the system's. Torch_DIR
# chooses another.
if(NOT Torch_DIR)
  execute_process(
    COMMAND ${Python3_EXECUTABLE} -c
            "import importlib.util as u; print(*(u.find_spec('torch') or u).submodule_search_locations)"
    OUTPUT_VARIABLE pytorch ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(EXISTS "${pytorch}/share/cmake/Torch")
    set(Torch_DIR ${pytorch}/share/cmake/Torch CACHE PATH "CMake files of LibTorch")
  endif()
endif()
# TorchConfig.cmake looks for its libraries in the system's folders first, and would mix two LibTorchs.
set(prefixes ${CMAKE_PREFIX_PATH})
if(Torch_DIR)
  list(PREPEND CMAKE_PREFIX_PATH ${Torch_DIR}/../../..)
endif()
find_package(Torch REQUIRED)
set(CMAKE_PREFIX_PATH ${prefixes})
get_filename_component(torch_libraries ${TORCH_LIBRARY} DIRECTORY)
set(torch_is_systems OFF)
if(torch_libraries IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
  set(torch_is_systems ON)
endif()
list(GET TORCH_INCLUDE_DIRS 0 torch_headers)
if(Torch_VERSION VERSION_LESS 1.13)
  message(FATAL_ERROR "${Torch_DIR} is LibTorch ${Torch_VERSION}, and Grapes needs 1.13 or later: set Torch_DIR, or "
                      "Python3_EXECUTABLE to a Python with a newer PyTorch")
endif()

# BLAS: the one inside LibTorch if it can be linked (PyPI's has MKL, on LibTorch's threads), else the library that
# Debian's LibTorch links too.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_LIBRARIES ${torch_libraries}/libtorch_cpu.so)
set(CMAKE_REQUIRED_QUIET ON)
check_cxx_source_compiles(
  "extern \"C\" void sgemm_(), dgemm_(), sgemv_(), dgemv_(); int main() { sgemm_(), dgemm_(), sgemv_(), dgemv_(); }"
  GRAPES_TORCH_HAS_BLAS)
unset(CMAKE_REQUIRED_LIBRARIES)
if(GRAPES_TORCH_HAS_BLAS)
  add_library(BLAS::BLAS INTERFACE IMPORTED)
else()
  set(BLA_VENDOR Generic)
  find_package(BLAS REQUIRED)
endif()

# oneDNN, for fused convolutions and products of bfloat16: the library that LibTorch links too. One inside LibTorch
# cannot be linked, and a second one beside it would share names with it; then LibTorch computes the convolutions, and
# bfloat16 is emulated. oneDNN's own CMake file is not used, because it needs OpenCL headers.
if(torch_is_systems OR NOT EXISTS ${torch_headers}/oneapi/dnnl/dnnl.hpp)
  find_path(DNNL_INCLUDE oneapi/dnnl/dnnl.hpp)
  find_library(DNNL_LIBRARY dnnl)
  if(DNNL_INCLUDE AND DNNL_LIBRARY)
    add_library(DNNL::dnnl UNKNOWN IMPORTED)
    set_target_properties(DNNL::dnnl PROPERTIES IMPORTED_LOCATION ${DNNL_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${DNNL_INCLUDE})
  endif()
endif()

# Gloo, with which processes exchange gradients. It is inside LibTorch. LibTorch's headers include Gloo's; the system's
# belong to the system's LibTorch only, and PyPI's LibTorch brings none. Without them a training is one process.
if(torch_is_systems)
  find_path(GLOO_INCLUDE gloo/context.h)
else()
  unset(GLOO_INCLUDE CACHE)
endif()

# A LibTorch from PyPI brings headers of another fmt than the one that is linked. A folder before its own leads to ours.
find_package(fmt REQUIRED)
if(NOT torch_is_systems AND EXISTS ${torch_headers}/fmt)
  find_path(FMT_INCLUDE fmt/format.h REQUIRED)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/first)
  file(CREATE_LINK ${FMT_INCLUDE}/fmt ${PROJECT_BINARY_DIR}/first/fmt SYMBOLIC)
  include_directories(BEFORE SYSTEM ${PROJECT_BINARY_DIR}/first)
endif()
