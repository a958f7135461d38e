# Installation below a relocatable prefix:
#   cmake --install build --prefix P     or     cpack --preset deb
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(GRAPES_PYTHON_DIR lib/python3/dist-packages CACHE STRING "Where the Python package goes; Debian's place below /usr")
set(GRAPES_ZSH_DIR ${CMAKE_INSTALL_DATADIR}/zsh/site-functions CACHE STRING "Where zsh looks for completions")
set(generated ${PROJECT_BINARY_DIR}/generated)
# Relative path from folder DIR of the prefix to its folder TO.
function(grapes_way DIR TO RESULT)
  file(RELATIVE_PATH way /${DIR} /${TO})
  set(${RESULT} ${way} PARENT_SCOPE)
endfunction()

# A LibTorch outside the system's folders is found by its path; everything else is found relative to the file that needs
# it.
grapes_way(${CMAKE_INSTALL_BINDIR} ${CMAKE_INSTALL_LIBDIR} way)
set(paths "")
if(NOT torch_is_systems)  # CMake leaves it out of the link path if it is below this project's folder, as build/venv is
  set(paths ${torch_libraries})
endif()
set_target_properties(grapes PROPERTIES INSTALL_RPATH "$ORIGIN/${way};${paths}" INSTALL_RPATH_USE_LINK_PATH ON)
set_target_properties(grapes_library PROPERTIES INSTALL_RPATH "$ORIGIN;${paths}" INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS grapes)

# The C++ library with what other projects need to find it: cmake --install build --component library
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME library)
install(TARGETS grapes_library EXPORT GrapesTargets FILE_SET HEADERS)

# For other programs, with CMake.
set(config ${CMAKE_INSTALL_LIBDIR}/cmake/Grapes)
string(REGEX MATCH "^[0-9]+\\.[0-9]+" GRAPES_TORCH "${Torch_VERSION}")
string(REPLACE "." "\\\\." GRAPES_TORCH_PATTERN "${GRAPES_TORCH}")
configure_package_config_file(cmake/GrapesConfig.cmake.in ${generated}/GrapesConfig.cmake INSTALL_DESTINATION ${config})
write_basic_package_version_file(${generated}/GrapesConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${generated}/GrapesConfig.cmake ${generated}/GrapesConfigVersion.cmake DESTINATION ${config})
install(EXPORT GrapesTargets NAMESPACE Grapes:: DESTINATION ${config})

# For pkg-config. LibTorch has no file for it.
grapes_way(${CMAKE_INSTALL_LIBDIR}/pkgconfig . GRAPES_PC_PREFIX)
set(GRAPES_PC_CFLAGS ${TORCH_INCLUDE_DIRS})
list(TRANSFORM GRAPES_PC_CFLAGS PREPEND -I)
list(APPEND GRAPES_PC_CFLAGS ${TORCH_CXX_FLAGS})
list(JOIN GRAPES_PC_CFLAGS " " GRAPES_PC_CFLAGS)
set(GRAPES_PC_LIBS "-L${torch_libraries} -ltorch -ltorch_cpu -lc10")
if(NOT torch_is_systems)
  string(PREPEND GRAPES_PC_LIBS "-Wl,-rpath,${torch_libraries} ")
endif()
configure_file(cmake/grapes.pc.in ${generated}/grapes.pc @ONLY)
install(FILES ${generated}/grapes.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
unset(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME)

# For Python. The library is in the folder of the package.
set(python ${GRAPES_PYTHON_DIR}/torch_grapes)
set(library ${CMAKE_SHARED_LIBRARY_PREFIX}grapes${CMAKE_SHARED_LIBRARY_SUFFIX})
grapes_way(${python} ${CMAKE_INSTALL_LIBDIR}/${library} way)
file(CREATE_LINK ${way} ${generated}/${library} SYMBOLIC)
install(DIRECTORY python/torch_grapes/ DESTINATION ${python} FILES_MATCHING PATTERN *.py PATTERN py.typed
        PATTERN __pycache__ EXCLUDE)
install(FILES ${generated}/${library} DESTINATION ${python})

# Man pages and completions, generated from the program's help. Running the program for each verb takes a minute of CPU
# time, so `make build` leaves it to `cmake --install`.
add_custom_command(
  OUTPUT ${generated}/pages.stamp
  COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/pages.py ${HELP2MAN} $<TARGET_FILE:grapes> ${PROJECT_VERSION}
          ${generated}
  COMMAND ${CMAKE_COMMAND} -E touch ${generated}/pages.stamp
  DEPENDS ${PROJECT_SOURCE_DIR}/tools/pages.py grapes COMMENT "Making man pages and completions" VERBATIM)
add_custom_target(grapes_pages ALL DEPENDS ${generated}/pages.stamp)
install(CODE "execute_process(COMMAND \"${CMAKE_COMMAND}\" --build \"${PROJECT_BINARY_DIR}\" --target grapes_pages
                              OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)")
install(DIRECTORY ${generated}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${generated}/completions/grapes DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${generated}/completions/_grapes DESTINATION ${GRAPES_ZSH_DIR})
install(FILES ${generated}/completions/grapes.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

install(DIRECTORY experiments share/energy DESTINATION ${CMAKE_INSTALL_DATADIR}/grapes)
install(FILES README.md CITATION.cff LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR} REGEX "examples/CMakeLists\\.txt$" EXCLUDE
        PATTERN __pycache__ EXCLUDE)

# The Debian package. It names the packages that it needs, so there is none for a LibTorch that is in no package.
if(NOT torch_is_systems)
  return()
endif()
set(CPACK_GENERATOR DEB)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_PACKAGE_CONTACT "The Grapes developers <grapes@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/Debian.cmake)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "Trains feedforward networks with GRAPES, a learning rule that scales the error at each node by the node's
responsibility, and compares it with plain backpropagation and with controls. The program, the C++ library with its
headers, and torch_grapes for Python.")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS libopenblas0)  # any BLAS works; the reference BLAS is slow
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "python3-torch, libtorch-dev, libgloo-dev, pkg-config, dataset-fashion-mnist")
include(CPack)
