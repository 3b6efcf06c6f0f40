# pmt_embedded_files(OUT NAME NAMESPACE TABLE PATTERN): the C++ source that holds the files of PATTERN, of which there may be
# none, and the table of them that the header TABLE declares. It is made anew when one of them changes.
function(pmt_embedded_files out name namespace table pattern)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${name}_source.cpp)
  file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${pattern})
  add_custom_command(OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} -DOUT=${source} -DNAMESPACE=${namespace} -DTABLE=${table} "-DPARTS=${files}"
      -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${files} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
  set(${out} ${source} PARENT_SCOPE)
endfunction()

# pmt_english(OUT): that of data/en, which the fuzzed parsers need, too.
function(pmt_english out)
  pmt_embedded_files(source english pmt::text text/embedded_file.h data/en/*.txt)
  set(${out} ${source} PARENT_SCOPE)
endfunction()
