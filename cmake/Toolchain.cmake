# Compiler options of the project. Only kernels, core and data benefit from -O3 (src/grapes/CMakeLists.txt).
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
# For tests, and for modules that only call others: -O1 compiles a quarter faster than -O2.
set(GRAPES_COMPILE_QUICKLY $<$<CONFIG:Release>:-O1>)
add_compile_options(-Wall -Wextra -Wpedantic -Wnon-virtual-dtor -Woverloaded-virtual)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 reports false overflows in std::string's operator+ (GCC bug 105329), and with the sanitizers false
  # uninitialized reads in <regex> and <functional>.
  add_compile_options(-Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds
                      $<$<BOOL:${GRAPES_SANITIZE}>:-Wno-maybe-uninitialized>)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 14 reports a false overflow in the std::vector<bool> of LibTorch's Function::apply().
  add_compile_options(-Wno-array-bounds)
endif()
if(GRAPES_WERROR)
  add_compile_options(-Werror)
endif()
if(GRAPES_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
if(GRAPES_TIDY)
  find_program(CLANG_TIDY clang-tidy REQUIRED)
  set(CMAKE_CXX_CLANG_TIDY ${CLANG_TIDY})
  add_compile_options(-include ${PROJECT_SOURCE_DIR}/cmake/ClangVector.h)
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT GRAPES_TIDY AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
