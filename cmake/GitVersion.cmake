# Runs in every build. Writes OUTPUT, a header with the version and the commit, if they have changed.
#   cmake -DSOURCE=... -DVERSION=... -DOUTPUT=... -P GitVersion.cmake
find_program(GIT git)
set(commit "")
set(dirty false)
if(GIT)
  execute_process(COMMAND ${GIT} -C ${SOURCE} rev-parse HEAD OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE
                  ERROR_QUIET RESULT_VARIABLE failed)
  if(failed)
    set(commit "")
  else()
    execute_process(COMMAND ${GIT} --no-optional-locks -C ${SOURCE} status --porcelain --untracked-files=no OUTPUT_VARIABLE changes
                    ERROR_QUIET)
    if(changes)
      set(dirty true)
    endif()
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT [[#pragma once
#define GRAPES_VERSION "@VERSION@"
#define GRAPES_GIT "@commit@"
#define GRAPES_GIT_DIRTY @dirty@
]])
