# How every file of the project is compiled.
add_compile_options(-Wall -Wextra -Wpedantic -Wnon-virtual-dtor -Woverloaded-virtual)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees overflows in std::string's own operator+ that are not there (GCC bug 105329), and under the sanitizers
  # uninitialised reads inside <regex> and <functional>.
  add_compile_options(-Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds
                      $<$<BOOL:${GRAPES_SANITIZE}>:-Wno-maybe-uninitialized>)
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
if(CCACHE AND NOT GRAPES_TIDY)
  # Precompiled headers need these two for ccache to dare a hit.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  endif()
endif()
