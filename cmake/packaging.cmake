# cmake --install and the .deb (cpack -G DEB). The binary links its rooms and ggml statically; what remains are
# Debian's own libraries, found by dpkg-shlibdeps.
include(GNUInstallDirs)
install(TARGETS permutation RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT permutation)
install(FILES README.md SECURITY.md LICENSE ARCHITECTURE.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT permutation)
install(FILES examples/permutation.toml DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT permutation)
install(FILES docs/grafana-dashboard.json DESTINATION ${CMAKE_INSTALL_DATADIR}/permutation COMPONENT permutation)
install(FILES packaging/permutation.service DESTINATION lib/systemd/system COMPONENT permutation)
install(FILES packaging/server.toml RENAME permutation.toml DESTINATION /etc/permutation COMPONENT permutation)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME permutation)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The Permutation authors <permutation@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "OpenAI-compatible server with response, knowledge and KV caches")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_CMAKE_PROJECTS "${CMAKE_BINARY_DIR};permutation;permutation;/") # that component only: not ggml's
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "bubblewrap, python3") # the sandbox of RecursiveLanguageModel's programs
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_SOURCE_DIR}/packaging/conffiles)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
