# grapes_room(NAME [TORCH] [SHARED] [LINK target ...])
#
# One room of the house: all .cpp files of src/grapes/NAME become the library grapes_NAME, all *_test.cpp the test
# program grapes_NAME_test, linked against the room, GoogleTest and grapes_testing. TORCH: the room may speak LibTorch
# and gets the precompiled header.
function(grapes_room name)
  cmake_parse_arguments(ROOM "TORCH;SHARED" "" "LINK;PRIVATE;TEST_LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  set(kind STATIC)
  if(ROOM_SHARED)
    set(kind SHARED)
  endif()
  if(sources)
    add_library(grapes_${name} ${kind} ${sources})
    set(scope PUBLIC)
  else()
    add_library(grapes_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  # What a room leans on is the build's affair: an installed library brings its own (cmake/GrapesConfig.cmake.in).
  target_include_directories(grapes_${name} ${scope} $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
                             $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/generated>)
  target_link_libraries(grapes_${name} ${scope} "$<BUILD_INTERFACE:${ROOM_LINK}>")
  if(ROOM_PRIVATE AND sources)
    target_link_libraries(grapes_${name} PRIVATE ${ROOM_PRIVATE})
  endif()
  if(ROOM_TORCH)
    target_link_libraries(grapes_${name} ${scope} "$<BUILD_INTERFACE:${TORCH_LIBRARIES}>")
    if(sources)
      target_precompile_headers(grapes_${name} REUSE_FROM grapes_pch)
    endif()
  endif()
  if(BUILD_TESTING AND tests)
    add_executable(grapes_${name}_test ${tests})
    target_link_libraries(grapes_${name}_test PRIVATE grapes_${name} ${ROOM_PRIVATE} ${ROOM_TEST_LINK} GTest::gmock
                          GTest::gtest_main ${RAPIDCHECK_LIBRARY})
    target_include_directories(grapes_${name}_test SYSTEM PRIVATE ${RAPIDCHECK_INCLUDE})
    target_compile_definitions(grapes_${name}_test PRIVATE GRAPES_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    if(ROOM_TORCH)
      # An executable would be compiled with -fPIE, for which the header made with -fPIC is no use.
      set_target_properties(grapes_${name}_test PROPERTIES POSITION_INDEPENDENT_CODE OFF)
      target_compile_options(grapes_${name}_test PRIVATE -fPIC)
      target_precompile_headers(grapes_${name}_test REUSE_FROM grapes_pch)
    endif()
    gtest_discover_tests(grapes_${name}_test TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST
                         # The first program to load LibTorch from a cold disk takes longer than the default 5 s.
                         DISCOVERY_TIMEOUT 300 PROPERTIES TIMEOUT 600)
  endif()
endfunction()
