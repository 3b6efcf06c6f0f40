# cmake --install and the .deb (cpack -G DEB). The binary links its rooms and ggml statically; what remains are
# Debian's own libraries, found by dpkg-shlibdeps.
include(GNUInstallDirs)
install(TARGETS permutation RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT permutation)
install(FILES README.md SECURITY.md LICENSE ARCHITECTURE.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT permutation)
install(FILES examples/permutation.toml DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT permutation)
install(FILES docs/grafana-dashboard.json DESTINATION ${CMAKE_INSTALL_DATADIR}/permutation COMPONENT permutation)
install(FILES packaging/permutation.service DESTINATION lib/systemd/system COMPONENT permutation)
install(FILES packaging/server.toml RENAME permutation.toml DESTINATION /etc/permutation COMPONENT permutation)

# Three packages, one a component: the server; the library for programs that need it, named after its SONAME as Debian asks, so
# that two ABIs can stand side by side; and what programs are built with.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME permutation)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The Permutation authors <permutation@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL permutation libpermutation libpermutation-dev) # and nothing of ggml's
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON) # what packages that link the library depend on
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_PERMUTATION_PACKAGE_NAME permutation)
set(CPACK_DEBIAN_PERMUTATION_DESCRIPTION "OpenAI-compatible server with response, knowledge and KV caches")
set(CPACK_DEBIAN_PERMUTATION_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PERMUTATION_PACKAGE_RECOMMENDS "bubblewrap, python3") # the sandbox of RecursiveLanguageModel's programs
set(CPACK_DEBIAN_PERMUTATION_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_SOURCE_DIR}/packaging/conffiles)

get_target_property(abi embed SOVERSION)
set(CPACK_DEBIAN_LIBPERMUTATION_PACKAGE_NAME libpermutation${abi})
set(CPACK_DEBIAN_LIBPERMUTATION_DESCRIPTION "language models and their three caches inside of a program")
set(CPACK_DEBIAN_LIBPERMUTATION_PACKAGE_SECTION libs)

set(CPACK_DEBIAN_LIBPERMUTATION-DEV_PACKAGE_NAME libpermutation-dev)
set(CPACK_DEBIAN_LIBPERMUTATION-DEV_DESCRIPTION "headers, static library and examples of libpermutation")
set(CPACK_DEBIAN_LIBPERMUTATION-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBPERMUTATION-DEV_PACKAGE_DEPENDS "libpermutation${abi} (= ${PROJECT_VERSION})")
include(CPack)
