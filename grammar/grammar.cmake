# flex and bison write the scanner and the parser into the build folder.
set(grammar_out ${PROJECT_BINARY_DIR}/grammar)
file(MAKE_DIRECTORY ${grammar_out})
gradc_module(gradc_grammar grammar DEPS gradc_ast)
