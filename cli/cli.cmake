# The command-line tool, and the readers of data that it rests on.
find_library(GRADC_CSV csv REQUIRED)
gradc_module(gradc_data cli/data DEPS gradc_interp gradc_runtime ${GRADC_CSV})
target_include_directories(gradc_data PUBLIC ${PROJECT_SOURCE_DIR}/compiler/trace)
if(ZLIB_FOUND)
  target_link_libraries(gradc_data PUBLIC ZLIB::ZLIB)
  target_compile_definitions(gradc_data PUBLIC GRADC_ZLIB)
endif()
file(GLOB cli_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cli/*.c)
if(cli_files)
  add_executable(gradc ${cli_files})
  target_include_directories(gradc PRIVATE ${PROJECT_SOURCE_DIR}/cli)
  target_link_libraries(gradc PRIVATE gradc_compiler gradc_data)
  target_link_options(gradc PRIVATE -Wl,--build-id) # tells the cache one compiler from another
  target_compile_definitions(gradc PRIVATE GRADC_VERSION="${PROJECT_VERSION}")
  if(GRADC_STATIC_LLVM) # 36 MB of code at fixed addresses: nothing to relocate at the start
    target_link_options(gradc PRIVATE -no-pie -Wl,--gc-sections)
  endif()
endif()
