# grapes_module(NAME [TORCH] [UNIT name] [LINK target ...] [PRIVATE target ...] [TEST_LINK target ...])
#
# Defines a module: all .cpp files of src/grapes/NAME form the library grapes_NAME, and all *_test.cpp the test program
# grapes_NAME_test, linked with the module, GoogleTest and grapes_testing. TORCH: the module may use LibTorch. The
# presets compile a module as one unit (CMAKE_UNITY_BUILD), because parsing LibTorch takes longer than compiling our
# code. UNIT: small modules with the same unit are compiled together, as the library grapes_UNIT and the test program
# grapes_UNIT_test.
function(grapes_module name)
  cmake_parse_arguments(MODULE "TORCH" "UNIT" "LINK;PRIVATE;TEST_LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  set(module grapes_${name})
  if(MODULE_UNIT)
    set(module grapes_${MODULE_UNIT})
    if(NOT TARGET ${module})
      add_library(${module} STATIC)
    endif()
    add_library(grapes_${name} ALIAS ${module})
    target_sources(${module} PRIVATE ${sources})
    set(name ${MODULE_UNIT})
    set(scope PUBLIC)
  elseif(sources)
    add_library(${module} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(${module} INTERFACE)
    set(scope INTERFACE)
  endif()
  # Links of a module are for the build only; an installed library has its own (cmake/GrapesConfig.cmake.in).
  target_include_directories(${module} ${scope} $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
                             $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/generated>)
  target_link_libraries(${module} ${scope} "$<BUILD_INTERFACE:${MODULE_LINK}>")
  if(MODULE_PRIVATE AND sources)
    target_link_libraries(${module} PRIVATE ${MODULE_PRIVATE})
  endif()
  if(MODULE_TORCH)
    target_link_libraries(${module} ${scope} "$<BUILD_INTERFACE:${TORCH_LIBRARIES}>")
  endif()
  if(NOT BUILD_TESTING OR NOT tests)
    return()
  endif()
  if(NOT TARGET ${module}_test)
    add_executable(${module}_test)
    target_include_directories(${module}_test SYSTEM PRIVATE ${RAPIDCHECK_INCLUDE})
    target_compile_options(${module}_test PRIVATE ${GRAPES_COMPILE_QUICKLY})
    target_compile_definitions(${module}_test PRIVATE GRAPES_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    gtest_discover_tests(${module}_test TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST
                         # When LibTorch is first loaded from a cold disk, it takes longer than the default of 5 s.
                         DISCOVERY_TIMEOUT 300 PROPERTIES TIMEOUT 600)
  endif()
  target_sources(${module}_test PRIVATE ${tests})
  target_link_libraries(${module}_test PRIVATE ${module} ${MODULE_PRIVATE} ${MODULE_TEST_LINK} GTest::gmock
                        GTest::gtest_main ${RAPIDCHECK_LIBRARY})
endfunction()
