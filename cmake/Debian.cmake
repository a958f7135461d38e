# CPack runs this on the files of the package before it is built: changes that only Debian needs.
set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY}${CPACK_PACKAGING_INSTALL_PREFIX})
set(doc ${root}/share/doc/${CPACK_PACKAGE_NAME})
function(pack)  # gzip without name and time, so that the same files give the same package
  execute_process(COMMAND gzip -9n ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(GLOB pages ${root}/share/man/man1/*.1)
pack(${pages})
file(MAKE_DIRECTORY ${root}/share/zsh/vendor-completions)
file(RENAME ${root}/share/zsh/site-functions/_grapes ${root}/share/zsh/vendor-completions/_grapes)
file(REMOVE_RECURSE ${root}/share/zsh/site-functions)
# Debian has one copy of the license for all packages.
file(REMOVE ${doc}/LICENSE)
file(WRITE ${doc}/copyright
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Grapes

Files: *
Copyright: The Grapes developers
License: Apache-2.0
 On Debian systems the text of the Apache License, version 2.0, is in /usr/share/common-licenses/Apache-2.0.
")
