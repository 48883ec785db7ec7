# Each of examples/samples passes gradcheck and trains (sample.sh). The model of a new one needs a line in `settings`.
if(TARGET gradc)
  file(GLOB samples CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/samples/*.nn)
  foreach(file IN LISTS samples)
    get_filename_component(name ${file} NAME_WE)
    add_test(NAME samples/${name} COMMAND ${PROJECT_SOURCE_DIR}/tests/samples/sample.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR}/examples ${name})
    set_tests_properties(samples/${name} PROPERTIES LABELS "samples;slow" SKIP_RETURN_CODE 77 TIMEOUT 600)
  endforeach()
endif()
