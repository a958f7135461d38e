# grapes_module(NAME [TORCH] [LINK target ...] [PRIVATE target ...] [TEST_LINK target ...])
#
# Defines a module: all .cpp files of src/grapes/NAME form the library grapes_NAME, and all *_test.cpp the test program
# grapes_NAME_test, linked with the module, GoogleTest and grapes_testing. TORCH: the module may use LibTorch. The
# presets compile a module as one unit (CMAKE_UNITY_BUILD), because parsing LibTorch takes longer than compiling our
# code.
function(grapes_module name)
  cmake_parse_arguments(MODULE "TORCH" "" "LINK;PRIVATE;TEST_LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  if(sources)
    add_library(grapes_${name} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(grapes_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  # Links of a module are for the build only; an installed library has its own (cmake/GrapesConfig.cmake.in).
  target_include_directories(grapes_${name} ${scope} $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
                             $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/generated>)
  target_link_libraries(grapes_${name} ${scope} "$<BUILD_INTERFACE:${MODULE_LINK}>")
  if(MODULE_PRIVATE AND sources)
    target_link_libraries(grapes_${name} PRIVATE ${MODULE_PRIVATE})
  endif()
  if(MODULE_TORCH)
    target_link_libraries(grapes_${name} ${scope} "$<BUILD_INTERFACE:${TORCH_LIBRARIES}>")
  endif()
  if(BUILD_TESTING AND tests)
    add_executable(grapes_${name}_test ${tests})
    target_link_libraries(grapes_${name}_test PRIVATE grapes_${name} ${MODULE_PRIVATE} ${MODULE_TEST_LINK} GTest::gmock
                          GTest::gtest_main ${RAPIDCHECK_LIBRARY})
    target_include_directories(grapes_${name}_test SYSTEM PRIVATE ${RAPIDCHECK_INCLUDE})
    target_compile_options(grapes_${name}_test PRIVATE ${GRAPES_COMPILE_QUICKLY})
    target_compile_definitions(grapes_${name}_test PRIVATE GRAPES_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    gtest_discover_tests(grapes_${name}_test TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST
                         # When LibTorch is first loaded from a cold disk, it takes longer than the default of 5 s.
                         DISCOVERY_TIMEOUT 300 PROPERTIES TIMEOUT 600)
  endif()
endfunction()
