# The bits of single primitives on other processors: bits_make writes their object code and inputs, run.c runs them there.
add_executable(bits_make ${CMAKE_CURRENT_LIST_DIR}/make.c)
target_link_libraries(bits_make PRIVATE ${gradc_all})
target_include_directories(bits_make PRIVATE ${PROJECT_SOURCE_DIR}/tests)
add_test(NAME artefact/primitives COMMAND sh ${CMAKE_CURRENT_LIST_DIR}/primitives.sh $<TARGET_FILE:bits_make> ${PROJECT_SOURCE_DIR})
set_tests_properties(artefact/primitives PROPERTIES LABELS artefact SKIP_RETURN_CODE 77 TIMEOUT 300)
