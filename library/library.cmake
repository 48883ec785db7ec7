# The standard library, embedded: every library/*.nn becomes a byte array in one generated C file.
file(GLOB library_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/library/*.nn)
set(library_c ${PROJECT_BINARY_DIR}/library/embedded.c)
add_custom_command(OUTPUT ${library_c}
  COMMAND ${CMAKE_COMMAND} "-DFILES=${library_files}" -DOUT=${library_c} -DHEADER=embedded.h -DTYPE=EmbeddedFile
    -DTABLE=embedded_files -DPREFIX=library/ -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
  DEPENDS ${library_files} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
add_library(gradc_library STATIC ${library_c})
target_include_directories(gradc_library PUBLIC ${PROJECT_SOURCE_DIR}/library)
