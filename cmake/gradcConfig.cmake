# find_package(gradc): the compiler, and gradc_add_model for programs that compile models when they are built.
get_filename_component(gradc_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
find_program(GRADC_EXECUTABLE gradc HINTS "${gradc_prefix}/bin" NO_DEFAULT_PATH)
if(NOT GRADC_EXECUTABLE)
  set(gradc_FOUND FALSE)
  set(gradc_NOT_FOUND_MESSAGE "no gradc in ${gradc_prefix}/bin")
  return()
endif()
find_package(Threads REQUIRED)

# gradc_add_model(target model.nn [NAME model] [OPTIONS ...]): a static library `target` with the model and its runtime, and its
# header in the include path of what links it. NAME: the model's name where it is not the file's; OPTIONS: of `gradc build`.
function(gradc_add_model target file)
  cmake_parse_arguments(M "" "NAME" "OPTIONS" ${ARGN})
  get_filename_component(source "${file}" ABSOLUTE)
  if(NOT M_NAME)
    get_filename_component(M_NAME "${file}" NAME_WE)
  endif()
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${target}.model")
  set(library "${folder}/lib${M_NAME}.a")
  file(MAKE_DIRECTORY "${folder}")
  add_custom_command(OUTPUT "${library}" "${folder}/${M_NAME}.h"
    COMMAND "${GRADC_EXECUTABLE}" build "${source}" --emit static --quiet -o "${library}" ${M_OPTIONS}
    DEPENDS "${source}" VERBATIM COMMENT "Compiling the model ${M_NAME}")
  add_custom_target(${target}_files DEPENDS "${library}" "${folder}/${M_NAME}.h")
  add_library(${target} INTERFACE)
  add_dependencies(${target} ${target}_files)
  target_include_directories(${target} INTERFACE "${folder}")
  target_link_libraries(${target} INTERFACE "${library}" Threads::Threads)
endfunction()
