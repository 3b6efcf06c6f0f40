# pmt_english(OUT): the C++ source that holds the files of data/en, made anew when one of them changes.
function(pmt_english out)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/english_source.cpp)
  file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/data/en/*.txt)
  add_custom_command(OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} -DOUT=${source} -DNAMESPACE=pmt::text -DTABLE=text/embedded_file.h "-DPARTS=${files}"
      -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${files} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
  set(${out} ${source} PARENT_SCOPE)
endfunction()
