# What `gradc build` makes of objects, and the runtime that it links to them: the runtime is compiled here once for each
# architecture that has a compiler, without sanitizers, and carried inside gradc, so that no compiler is needed later.
#
# -Os or smaller, and by GCC all files as one: its own work is a small part of any step. No unwind tables: nothing throws through
# it. -fno-plt: fewer bytes in all, as everything is bound when it is loaded.
include(CheckCCompilerFlag)
check_c_compiler_flag(-Oz GRADC_HAS_OZ)
set(smallest -Os)
if(GRADC_HAS_OZ)
  set(smallest -Oz)
endif()
set(runtime_flags -DGRADC_LINKED -std=gnu11 ${smallest} -fPIC -fno-plt -fno-ident -fno-semantic-interposition -fvisibility=hidden -ffunction-sections -fdata-sections -ffp-contract=off -fno-math-errno
  -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-stack-protector -Wall)
file(GLOB runtime_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/runtime/*.c)
file(GLOB runtime_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/runtime/*.h)
set(carried "")
function(gradc_runtime_object arch compiler)
  set(object ${PROJECT_BINARY_DIR}/runtime/${arch}.o)
  set(folder ${PROJECT_BINARY_DIR}/runtime/${arch})
  set(parts ${runtime_files})
  list(TRANSFORM parts REPLACE ".*/(.*)[.]c$" "${folder}/\\1.o")
  set(as_one "")
  set(as_one_link "")
  if(CMAKE_C_COMPILER_ID STREQUAL GNU)
    set(as_one -flto)
    set(as_one_link -flto -flinker-output=nolto-rel)
  endif()
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(OUTPUT ${object}
    COMMAND ${compiler} ${runtime_flags} ${as_one} ${ARGN} -ffile-prefix-map=${PROJECT_SOURCE_DIR}/= -c ${runtime_files}
    COMMAND ${compiler} ${runtime_flags} ${as_one_link} ${ARGN} -r -nostdlib ${parts} -o ${object}
    WORKING_DIRECTORY ${folder}
    DEPENDS ${runtime_files} ${runtime_headers} VERBATIM)
  list(APPEND carried ${object})
  set(carried "${carried}" PARENT_SCOPE)
endfunction()

if(CMAKE_SYSTEM_NAME STREQUAL Linux)
  set(host ${CMAKE_SYSTEM_PROCESSOR})
  gradc_runtime_object(${host} ${CMAKE_C_COMPILER})
  foreach(arch x86_64 aarch64)
    find_program(GRADC_CC_${arch} NAMES ${arch}-linux-gnu-gcc)
    if(NOT arch STREQUAL host AND GRADC_CC_${arch})
      set(flags "")
      if(arch STREQUAL aarch64)
        set(flags -mno-outline-atomics) # those are in libgcc
      endif()
      gradc_runtime_object(${arch} ${GRADC_CC_${arch}} ${flags})
    endif()
  endforeach()
endif()
# WebAssembly: the part of the runtime that needs no system, and what stands in for one.
find_program(GRADC_CC_wasm32 NAMES clang-19 clang-20 clang-21)
if(GRADC_CC_wasm32)
  set(folder ${PROJECT_SOURCE_DIR}/runtime/wasm)
  set(flags --target=wasm32-unknown-unknown -msimd128 -mbulk-memory -msign-ext -mnontrapping-fptoint -DGRADC_LINKED -std=gnu11 -Os -fvisibility=hidden
    -ffp-contract=off -fno-math-errno -Wall -nostdlibinc -isystem ${folder}/include -I${PROJECT_SOURCE_DIR}/runtime)
  file(GLOB headers CONFIGURE_DEPENDS ${folder}/include/*.h ${folder}/include/sys/*.h)
  foreach(file model.c layout.c tensors.c status.c wasm/system.c)
    get_filename_component(name ${file} NAME_WE)
    set(object ${PROJECT_BINARY_DIR}/runtime/wasm32_${name}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/runtime
      COMMAND ${GRADC_CC_wasm32} ${flags} -ffile-prefix-map=${PROJECT_SOURCE_DIR}/= -c ${PROJECT_SOURCE_DIR}/runtime/${file} -o ${object}
      DEPENDS ${PROJECT_SOURCE_DIR}/runtime/${file} ${runtime_headers} ${headers} VERBATIM)
    list(APPEND carried ${object})
  endforeach()
endif()
set(carried ${carried} ${PROJECT_SOURCE_DIR}/runtime/gradc.h ${PROJECT_SOURCE_DIR}/runtime/abi.h ${CMAKE_CURRENT_LIST_DIR}/model.py
  ${CMAKE_CURRENT_LIST_DIR}/backend.py
  ${CMAKE_CURRENT_LIST_DIR}/model.js ${CMAKE_CURRENT_LIST_DIR}/model.d.ts)
set(carried_c ${PROJECT_BINARY_DIR}/runtime/carried.c)
add_custom_command(OUTPUT ${carried_c}
  COMMAND ${CMAKE_COMMAND} "-DFILES=${carried}" -DOUT=${carried_c} -DHEADER=carried.h -DTYPE=CarriedFile
    -DTABLE=carried_files -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
  DEPENDS ${carried} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
gradc_module(gradc_artefact cli/artefact DEPS gradc_compiler)
target_sources(gradc_artefact PRIVATE ${carried_c})
