# One wrapper per kind of target, so that flags, include paths and the layer rule of docs/architecture.md are in one place.

find_program(LARIAT_CCACHE ccache)
if(LARIAT_USE_CCACHE AND LARIAT_CCACHE)
  # What ccache asks for where headers are precompiled.
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${LARIAT_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()

find_program(LARIAT_LLD NAMES ld.lld-22 ld.lld)
if(LARIAT_USE_LLD AND LARIAT_LLD)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    add_link_options(-fuse-ld=lld)
  endif()
endif()

foreach(sanitizer ${LARIAT_SANITIZE})
  add_compile_options(-fsanitize=${sanitizer} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${sanitizer})
endforeach()
# What a process that is not ours, such as Python, loads before our libraries: a shell script to source.
set(LARIAT_SANITIZER_SETTINGS "")
if(LARIAT_SANITIZE AND NOT "thread" IN_LIST LARIAT_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # One runtime for programs, for our shared libraries and for code that is compiled and loaded.
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-runtime-dir OUTPUT_VARIABLE runtime OUTPUT_STRIP_TRAILING_WHITESPACE)
  add_link_options(-shared-libsan LINKER:-rpath,${runtime})
  if("address" IN_LIST LARIAT_SANITIZE)
    # With the C++ library, without which the sanitizer finds no exceptions to watch. An interpreter never frees all it has.
    execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libstdc++.so.6
      OUTPUT_VARIABLE cxx OUTPUT_STRIP_TRAILING_WHITESPACE)
    file(GLOB preloaded ${runtime}/libclang_rt.asan-${CMAKE_SYSTEM_PROCESSOR}.so)
    string(CONCAT LARIAT_SANITIZER_SETTINGS "export LD_PRELOAD='${preloaded} ${cxx}'\n"
      "export ASAN_OPTIONS=\${ASAN_OPTIONS:-allow_user_poisoning=0:allocator_may_return_null=1:detect_leaks=0}\n")
  endif()
endif()
file(CONFIGURE OUTPUT ${LARIAT_BINARY_DIR}/sanitizer.sh CONTENT "${LARIAT_SANITIZER_SETTINGS}" @ONLY)
if(LARIAT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if("undefined" IN_LIST LARIAT_SANITIZE)
  # The distribution's MLIR has no RTTI, which the vptr check needs; neither it nor compiled models have the type marks
  # that the function check reads before each function.
  add_compile_options(-fno-sanitize=vptr,function -fno-sanitize-recover=undefined)
endif()

# Members of classes in MLIR's headers depend on NDEBUG (mlir::Pass::Statistic for one), so ours is what libMLIR had.
string(TOUPPER "${CMAKE_BUILD_TYPE}" LARIAT_BUILD_TYPE)
if(NOT LLVM_ENABLE_ASSERTIONS AND NOT "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${LARIAT_BUILD_TYPE}}" MATCHES "-DNDEBUG")
  add_compile_definitions(NDEBUG)
endif()

set(LARIAT_COMPILE_OPTIONS -fno-exceptions -fno-rtti -Wall -Wextra -Wno-unused-parameter)
set(LARIAT_RUNTIME_COMPILE_OPTIONS -Wall -Wextra -Wno-unused-parameter)
if(LARIAT_WERROR)
  list(APPEND LARIAT_COMPILE_OPTIONS -Werror)
  list(APPEND LARIAT_RUNTIME_COMPILE_OPTIONS -Werror)
endif()

# What every C++ target shares. MLIR's headers are system headers: their warnings are not ours.
function(lariat_configure_target target)
  target_include_directories(${target} PUBLIC ${LARIAT_SOURCE_DIR}/include ${LARIAT_BINARY_DIR}/include)
  target_include_directories(${target} SYSTEM PUBLIC ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
  target_compile_options(${target} PRIVATE ${LARIAT_COMPILE_OPTIONS})
endfunction()

# Parsing MLIR's headers takes most of the time of a file, so those that many files use are parsed once. What a file uses it
# includes nevertheless: -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON builds without.
file(CONFIGURE OUTPUT ${LARIAT_BINARY_DIR}/PrecompiledHeaders.cpp CONTENT "")
add_library(LariatPrecompiledHeaders OBJECT ${LARIAT_BINARY_DIR}/PrecompiledHeaders.cpp)
lariat_configure_target(LariatPrecompiledHeaders)
target_precompile_headers(LariatPrecompiledHeaders PRIVATE
  <mlir/Dialect/Arith/IR/Arith.h>
  <mlir/Dialect/Bufferization/IR/Bufferization.h>
  <mlir/Dialect/Func/IR/FuncOps.h>
  <mlir/Dialect/LLVMIR/LLVMDialect.h>
  <mlir/Dialect/Linalg/IR/Linalg.h>
  <mlir/Dialect/Math/IR/Math.h>
  <mlir/Dialect/MemRef/IR/MemRef.h>
  <mlir/Dialect/SCF/IR/SCF.h>
  <mlir/Dialect/Tensor/IR/Tensor.h>
  <mlir/Dialect/Vector/IR/VectorOps.h>
  <mlir/IR/DialectImplementation.h>
  <mlir/IR/Matchers.h>
  <mlir/IR/SymbolTable.h>
  <mlir/Parser/Parser.h>
  <mlir/Pass/PassManager.h>
  <mlir/Transforms/DialectConversion.h>
  <mlir/Transforms/GreedyPatternRewriteDriver.h>
  <llvm/ADT/TypeSwitch.h>
  <llvm/Support/FileSystem.h>
  <llvm/Support/FormatVariadic.h>
  <llvm/Support/JSON.h>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang") # equal headers, equal bytes
  target_compile_options(LariatPrecompiledHeaders PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
endif()

# lariat_add_library(NAME sources... [LINK_PUBLIC libs...] [LINK_PRIVATE libs...])
# An object library that uses MLIR; everything ends in the dynamic libMLIR and libLLVM of the distribution.
function(lariat_add_library name)
  cmake_parse_arguments(ARG "" "" "LINK_PUBLIC;LINK_PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  lariat_configure_target(${name})
  target_precompile_headers(${name} REUSE_FROM LariatPrecompiledHeaders)
  add_dependencies(${name} LariatIncGen LariatKernelIncGen)
  target_link_libraries(${name} PUBLIC ${ARG_LINK_PUBLIC} PRIVATE ${ARG_LINK_PRIVATE})
endfunction()

# lariat_add_tool(NAME sources... LINK libs...)
function(lariat_add_tool name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  if(LARIAT_SANITIZE)
    target_sources(${name} PRIVATE ${LARIAT_SOURCE_DIR}/cmake/SanitizerOptions.cpp)
  endif()
  lariat_configure_target(${name})
  # Precompiled headers serve what has the same flags: those of libraries, -fPIC rather than -fPIE.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC)
  target_precompile_headers(${name} REUSE_FROM LariatPrecompiledHeaders)
  add_dependencies(${name} LariatIncGen LariatKernelIncGen)
  target_link_libraries(${name} PRIVATE ${ARG_LINK} MLIR LLVM)
endfunction()

# The same for the runtime: the standard library, and the JSON that manifests are read with.
file(CONFIGURE OUTPUT ${LARIAT_BINARY_DIR}/RuntimePrecompiledHeaders.cpp CONTENT "")
add_library(LariatRuntimePrecompiledHeaders OBJECT ${LARIAT_BINARY_DIR}/RuntimePrecompiledHeaders.cpp)
find_package(nlohmann_json 3.10 REQUIRED)
target_link_libraries(LariatRuntimePrecompiledHeaders PRIVATE nlohmann_json::nlohmann_json)
target_compile_options(LariatRuntimePrecompiledHeaders PRIVATE ${LARIAT_RUNTIME_COMPILE_OPTIONS})
target_precompile_headers(LariatRuntimePrecompiledHeaders PRIVATE
  <algorithm>
  <chrono>
  <functional>
  <map>
  <memory>
  <mutex>
  <optional>
  <set>
  <span>
  <string>
  <string_view>
  <unordered_map>
  <variant>
  <vector>
  <nlohmann/json.hpp>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(LariatRuntimePrecompiledHeaders PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
endif()

# What every C++ target of the runtime shares: nothing of LLVM or MLIR is in its include path, so it cannot be used by
# mistake.
function(lariat_configure_runtime_target target)
  target_include_directories(${target} PUBLIC ${LARIAT_SOURCE_DIR}/include ${LARIAT_BINARY_DIR}/include)
  target_compile_options(${target} PRIVATE ${LARIAT_RUNTIME_COMPILE_OPTIONS})
  target_precompile_headers(${target} REUSE_FROM LariatRuntimePrecompiledHeaders)
endfunction()

# lariat_add_runtime_library(NAME sources... [LINK_PUBLIC libs...] [LINK_PRIVATE libs...])
# A library of the runtime.
function(lariat_add_runtime_library name)
  cmake_parse_arguments(ARG "" "" "LINK_PUBLIC;LINK_PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  lariat_configure_runtime_target(${name})
  target_link_libraries(${name} PUBLIC ${ARG_LINK_PUBLIC} PRIVATE ${ARG_LINK_PRIVATE})
endfunction()

# lariat_add_runtime_shared_library(NAME sources... OUTPUT_NAME name VERSION number EXPORTS file [LINK_PRIVATE libs...])
# A shared library of the runtime that exports what the version script EXPORTS names, and nothing else.
function(lariat_add_runtime_shared_library name)
  cmake_parse_arguments(ARG "" "OUTPUT_NAME;VERSION;EXPORTS" "LINK_PRIVATE" ${ARGN})
  add_library(${name} SHARED ${ARG_UNPARSED_ARGUMENTS})
  lariat_configure_runtime_target(${name})
  target_link_libraries(${name} PRIVATE ${ARG_LINK_PRIVATE})
  target_link_options(${name} PRIVATE LINKER:--version-script=${CMAKE_CURRENT_SOURCE_DIR}/${ARG_EXPORTS})
  set_target_properties(${name} PROPERTIES OUTPUT_NAME ${ARG_OUTPUT_NAME} SOVERSION ${ARG_VERSION}
    DEFINE_SYMBOL "" LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_EXPORTS})
endfunction()

# lariat_add_runtime_tool(NAME sources... LINK libs...)
function(lariat_add_runtime_tool name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  if(LARIAT_SANITIZE)
    target_sources(${name} PRIVATE ${LARIAT_SOURCE_DIR}/cmake/SanitizerOptions.cpp)
  endif()
  lariat_configure_runtime_target(${name})
  # As in lariat_add_tool.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC)
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
endfunction()

# lariat_tablegen(OUTPUT flags...) runs mlir-tblgen on LLVM_TARGET_DEFINITIONS into <build>/include/lariat/OUTPUT.
function(lariat_tablegen output)
  set(out ${LARIAT_BINARY_DIR}/include/lariat/${output})
  get_filename_component(dir ${out} DIRECTORY)
  file(MAKE_DIRECTORY ${dir})
  set(definitions ${CMAKE_CURRENT_SOURCE_DIR}/${LLVM_TARGET_DEFINITIONS})
  file(GLOB inputs CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.td)
  add_custom_command(OUTPUT ${out}
    COMMAND ${MLIR_TABLEGEN_EXE} ${ARGN} ${definitions} -I ${CMAKE_CURRENT_SOURCE_DIR} -I ${MLIR_INCLUDE_DIRS}
            --write-if-changed -o ${out}
    DEPENDS ${inputs} COMMENT "Generating ${output}")
  set(LARIAT_TABLEGEN_OUTPUTS ${LARIAT_TABLEGEN_OUTPUTS} ${out} PARENT_SCOPE)
endfunction()
