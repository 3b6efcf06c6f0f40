# One folder is one room, one library: pmt_room(kv_cache SOURCES ... LINKS pmt_kernels fmt::fmt).
# Includes are written from src/: #include "kv_cache/page_pool.h".
function(pmt_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Werror=return-type
    -Wno-restrict) # g++ 12 bug 105651: false alarms on std::string concatenation
endfunction()

# TOGETHER 5: its sources are compiled five at a time, since reading headers is most of their work; those that are APART
# use a name that a neighbour uses too, or bring a false warning together. What is made by the build is apart anyway.
# COLD: at -O1, in two thirds of the time. Nothing in it runs once a token, nor counts on the way of an answer from the cache
# (api: 3.0 us a request instead of 2.9, of some 86 that a hit takes).
function(pmt_room name)
  cmake_parse_arguments(A "COLD" "TOGETHER" "SOURCES;APART;LINKS" ${ARGN})
  if(A_SOURCES)
    add_library(pmt_${name} STATIC ${A_SOURCES} ${A_APART})
    if(A_TOGETHER AND PMT_TOGETHER)
      list(FILTER A_SOURCES INCLUDE REGEX "^${CMAKE_BINARY_DIR}/")
      list(APPEND A_APART ${A_SOURCES})
      set_target_properties(pmt_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${A_TOGETHER})
      set_source_files_properties(${A_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
    if(A_COLD)
      target_compile_options(pmt_${name} PRIVATE $<$<CONFIG:Release>:-O1>)
    endif()
    target_include_directories(pmt_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(pmt_${name} PUBLIC ${A_LINKS})
    pmt_warnings(pmt_${name})
  else()
    add_library(pmt_${name} INTERFACE)
    target_include_directories(pmt_${name} INTERFACE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(pmt_${name} INTERFACE ${A_LINKS})
  endif()
endfunction()

# pmt_tests(kv_cache LABEL unit SOURCES a_test.cpp ... LINKS ...): one binary a room and label.
function(pmt_tests name)
  cmake_parse_arguments(A "ALONE" "LABEL;TIMEOUT" "SOURCES;LINKS" ${ARGN})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  set(target ${name}_${A_LABEL}_tests)
  add_executable(${target} ${A_SOURCES})
  target_link_libraries(${target} PRIVATE pmt_${name} ${A_LINKS} GTest::gtest GTest::gmock GTest::gtest_main)
  pmt_warnings(${target})
  if(NOT A_ALONE)
    # What is tested is compiled as it ships; the tests themselves compile in two thirds of the time.
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  endif()
  # A model takes every core: two such tests side by side would wait for each other at every barrier. ALONE: what
  # it measures is time.
  set(cores 1)
  if(NOT A_LABEL STREQUAL "unit" OR A_ALONE)
    set(cores 2)
  endif()
  include(GoogleTest)
  gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST TEST_PREFIX "${name}."
    PROPERTIES LABELS ${A_LABEL} PROCESSORS ${cores} TIMEOUT ${A_TIMEOUT} ENVIRONMENT "PERMUTATION_MODEL=${PMT_MODEL}"
      ENVIRONMENT_MODIFICATION "PERMUTATION_EMBEDDER=set:${PMT_EMBEDDER}")
endfunction()
