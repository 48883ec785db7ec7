# flex and bison write the scanner and the parser into the build folder.
set(grammar_out ${PROJECT_BINARY_DIR}/grammar)
file(MAKE_DIRECTORY ${grammar_out})
gradc_module(gradc_grammar grammar DEPS gradc_ast)
flex_target(gradc_scanner ${PROJECT_SOURCE_DIR}/grammar/gradc.l ${grammar_out}/gradc.lex.c)
bison_target(gradc_parser ${PROJECT_SOURCE_DIR}/grammar/gradc.y ${grammar_out}/gradc.tab.c COMPILE_FLAGS "-Wall -Werror")
add_flex_bison_dependency(gradc_scanner gradc_parser)
target_sources(gradc_grammar PRIVATE ${FLEX_gradc_scanner_OUTPUTS} ${BISON_gradc_parser_OUTPUTS})
target_include_directories(gradc_grammar PRIVATE ${grammar_out})
set_source_files_properties(${FLEX_gradc_scanner_OUTPUTS} ${BISON_gradc_parser_OUTPUTS}
  PROPERTIES COMPILE_OPTIONS "-Wno-sign-compare;-Wno-unused-function;-Wno-unused-but-set-variable;-Wno-maybe-uninitialized")
