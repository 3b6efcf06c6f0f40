# Everything that we link. Debian packages except ggml/libllama, whose pinned source ./dev fetches.
find_package(Threads REQUIRED)
find_package(Boost 1.74 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(simdjson REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_library(PMT_ZSTD zstd REQUIRED)
find_library(PMT_UTF8PROC utf8proc REQUIRED)
if(NOT PMT_FUZZ)
  find_package(GTest REQUIRED)
  find_package(benchmark REQUIRED)
  find_package(CLI11 REQUIRED)
  find_library(PMT_LMDB lmdb REQUIRED)
endif()
find_library(PMT_HIREDIS hiredis REQUIRED)
find_library(PMT_SQLITE sqlite3 REQUIRED)

if(PMT_SANITIZE)
  set(PMT_SANITIZE_OPTIONS -fsanitize=${PMT_SANITIZE} -fno-omit-frame-pointer)
  if(PMT_FUZZ)
    list(APPEND PMT_SANITIZE_OPTIONS -fsanitize=fuzzer-no-link)
  endif()
  add_link_options(-fsanitize=${PMT_SANITIZE})
endif()

if(NOT EXISTS "${PMT_LLAMA_SOURCE}/CMakeLists.txt")
  message(FATAL_ERROR "PMT_LLAMA_SOURCE does not name an unpacked llama.cpp tree. Run './dev build', which "
                      "fetches the pinned source and passes it.")
endif()
set(BUILD_SHARED_LIBS OFF CACHE BOOL "" FORCE)
if(PMT_FUZZ) # ggml's own reader of GGUF and its table of types, without kernels for this machine
  set(GGML_NATIVE OFF CACHE BOOL "" FORCE)
  set(GGML_CCACHE OFF CACHE BOOL "" FORCE)
  set(GGML_OPENMP OFF CACHE BOOL "" FORCE)
  set(GGML_CPU_REPACK OFF CACHE BOOL "" FORCE)
  add_subdirectory(${PMT_LLAMA_SOURCE}/ggml ${CMAKE_BINARY_DIR}/ggml EXCLUDE_FROM_ALL SYSTEM)
  target_compile_options(ggml-base PRIVATE ${PMT_SANITIZE_OPTIONS})
  target_compile_options(ggml-cpu PRIVATE -O0 -g0) # only its table is read: built as fast as can be
  add_compile_options(${PMT_SANITIZE_OPTIONS})
  return()
endif()
set(GGML_NATIVE ${PMT_NATIVE} CACHE BOOL "" FORCE)
set(GGML_CCACHE OFF CACHE BOOL "" FORCE) # the launcher above already does it
set(LLAMA_BUILD_COMMON ON CACHE BOOL "" FORCE)
set(LLAMA_BUILD_TESTS OFF CACHE BOOL "" FORCE)
set(LLAMA_BUILD_TOOLS OFF CACHE BOOL "" FORCE)
set(LLAMA_BUILD_EXAMPLES OFF CACHE BOOL "" FORCE)
set(LLAMA_BUILD_SERVER OFF CACHE BOOL "" FORCE)
set(LLAMA_BUILD_APP OFF CACHE BOOL "" FORCE)
set(LLAMA_OPENSSL OFF CACHE BOOL "" FORCE)
if(PMT_SANITIZE MATCHES "thread")
  set(GGML_OPENMP OFF CACHE BOOL "" FORCE) # libgomp is not instrumented: every barrier would be a false race
endif()
set(CMAKE_MESSAGE_LOG_LEVEL_BEFORE ${CMAKE_MESSAGE_LOG_LEVEL})
set(CMAKE_MESSAGE_LOG_LEVEL WARNING)
if(PMT_SANITIZE)
  # libllama starts no threads here and isn't ours: built with the release's very flags it comes out of ccache. ggml, whose
  # threads run our code, is watched.
  foreach(language C CXX)
    set(flags_before_${language} ${CMAKE_${language}_FLAGS_RELWITHDEBINFO})
    set(CMAKE_${language}_FLAGS_RELWITHDEBINFO ${CMAKE_${language}_FLAGS_RELEASE})
  endforeach()
endif()
add_subdirectory(${PMT_LLAMA_SOURCE} ${CMAKE_BINARY_DIR}/llama.cpp EXCLUDE_FROM_ALL SYSTEM)
# What its own programs need and we don't: command lines, downloads, a console. Three minutes of a processor's time in a first build.
get_target_property(llama_common llama-common SOURCES)
list(FILTER llama_common EXCLUDE REGEX "^(arg|console|debug|download|hf-cache|imatrix-loader|llguidance|preset|subproc)\\.")
set_target_properties(llama-common PROPERTIES SOURCES "${llama_common}")
# Its chat parsers are small, and the headers that each reads are large. They run once a request, and compile in a third of the
# time so.
target_compile_options(llama-common PRIVATE $<$<CONFIG:Release>:-O1>)
set_target_properties(llama-common PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8
  UNITY_BUILD_CODE_BEFORE_INCLUDE "#undef FILENAME") # each of jinja/ defines its own
set_source_files_properties(${PMT_LLAMA_SOURCE}/common/json.cpp TARGET_DIRECTORY llama-common
  PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON) # its ordered_json is another one
# What reads a model file and lays out a graph runs once a load, or once a shape of batch, and is most of libllama. What runs for
# every token stays at -O3, so what we are compared with loses nothing.
target_compile_options(llama PRIVATE $<$<CONFIG:Release>:-O1>)
set_source_files_properties(${PMT_LLAMA_SOURCE}/src/llama-batch.cpp ${PMT_LLAMA_SOURCE}/src/llama-context.cpp
  ${PMT_LLAMA_SOURCE}/src/llama-grammar.cpp ${PMT_LLAMA_SOURCE}/src/llama-graph.cpp ${PMT_LLAMA_SOURCE}/src/llama-kv-cache.cpp
  ${PMT_LLAMA_SOURCE}/src/llama-memory-recurrent.cpp ${PMT_LLAMA_SOURCE}/src/llama-sampler.cpp
  ${PMT_LLAMA_SOURCE}/src/llama-vocab.cpp ${PMT_LLAMA_SOURCE}/src/unicode.cpp TARGET_DIRECTORY llama
  PROPERTIES COMPILE_OPTIONS $<$<CONFIG:Release>:-O3>)
foreach(links LINK_LIBRARIES INTERFACE_LINK_LIBRARIES)
  get_target_property(llama_common llama-common ${links})
  list(FILTER llama_common EXCLUDE REGEX "cpp-httplib")
  set_target_properties(llama-common PROPERTIES ${links} "${llama_common}")
endforeach()
# GCC's _tile_loadconfig says of the 64 bytes that the instruction reads only that it reads the first eight. So the optimizer
# drops what fills the others, and a processor with AMX ends the process with a general protection fault. Here all are named.
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/ggml/amx_tile_config.h @ONLY CONTENT [[
#pragma once

#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>

static inline void pmt_load_tile_config(const void* config) {
  __asm__ volatile("ldtilecfg %0" : : "m"(*static_cast<const char(*)[64]>(config)));
}
#define _tile_loadconfig(config) pmt_load_tile_config(config)
#endif
]])
set_source_files_properties(${PMT_LLAMA_SOURCE}/ggml/src/ggml-cpu/amx/mmq.cpp TARGET_DIRECTORY ggml-cpu
  PROPERTIES COMPILE_OPTIONS "-include;${CMAKE_BINARY_DIR}/generated/ggml/amx_tile_config.h")
set(CMAKE_MESSAGE_LOG_LEVEL ${CMAKE_MESSAGE_LOG_LEVEL_BEFORE})
if(PMT_SANITIZE)
  foreach(language C CXX)
    set(CMAKE_${language}_FLAGS_RELWITHDEBINFO ${flags_before_${language}})
  endforeach()
  foreach(target ggml ggml-base ggml-cpu) # undefined behaviour in its arithmetic is not ours to find
    target_compile_options(${target} PRIVATE ${PMT_SANITIZE_OPTIONS} -fno-sanitize=undefined -O1 -g1)
  endforeach()
  add_compile_options(${PMT_SANITIZE_OPTIONS})
endif()
