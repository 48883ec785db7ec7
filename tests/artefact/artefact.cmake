# Each *.sh but start.sh is a test of `gradc build`; one that lacks a program says so and is skipped.
file(GLOB artefact_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/artefact/*.sh)
foreach(file IN LISTS artefact_tests)
  get_filename_component(name ${file} NAME_WE)
  if(TARGET gradc AND CMAKE_SYSTEM_NAME STREQUAL Linux AND NOT name STREQUAL start)
    add_test(NAME artefact/${name} COMMAND sh ${file} $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR}/tests/artefact)
    set_tests_properties(artefact/${name} PROPERTIES LABELS artefact SKIP_RETURN_CODE 77 TIMEOUT 300)
  endif()
endforeach()
