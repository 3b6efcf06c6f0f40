# pmt_calibrations(OUT): the C++ source that holds the files of data/calibrations, of which there may be none.
function(pmt_calibrations out)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/calibrations_source.cpp)
  file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/data/calibrations/*.kv)
  add_custom_command(OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} -DOUT=${source} -DNAMESPACE=pmt::engine -DTABLE=engine/shipped_files.h "-DPARTS=${files}"
      -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${files} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
  set(${out} ${source} PARENT_SCOPE)
endfunction()
