# Each *.sh but start.sh is a test of `gradc build`; one that lacks a program says so and is skipped.
file(GLOB build_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/build/*.sh)
foreach(file IN LISTS build_tests)
  get_filename_component(name ${file} NAME_WE)
  if(TARGET gradc AND CMAKE_SYSTEM_NAME STREQUAL Linux AND NOT name STREQUAL start)
    add_test(NAME build/${name} COMMAND sh ${file} $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR}/tests/build)
    set_tests_properties(build/${name} PROPERTIES LABELS build SKIP_RETURN_CODE 77 TIMEOUT 300)
  endif()
endforeach()
