# pmt_results(OUT NAMESPACE FILE): the C++ source that holds FILE of data/ as a char array of NAMESPACE.
function(pmt_results out namespace file)
  get_filename_component(name ${file} NAME_WE)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${name}_source.cpp)
  add_custom_command(OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} -DOUT=${source} -DNAMESPACE=${namespace} -DPARTS=${file}
      -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${file} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
  set(${out} ${source} PARENT_SCOPE)
endfunction()
