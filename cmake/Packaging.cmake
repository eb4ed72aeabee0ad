# What is installed, and the Debian package (cpack -G DEB in the build folder). The executable's
# own rule stands in remediate/cli.
install(DIRECTORY "${CMAKE_SOURCE_DIR}/playbooks/" DESTINATION "${CMAKE_INSTALL_DATADIR}/remediate/playbooks"
        FILES_MATCHING PATTERN "*.json" PATTERN "*.md" PATTERN "*.yar")
install(FILES "${CMAKE_SOURCE_DIR}/docs/remediate.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
install(FILES "${CMAKE_SOURCE_DIR}/docs/completion/remediate.bash"
        DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" RENAME remediate)
install(DIRECTORY "${CMAKE_SOURCE_DIR}/docs/" DESTINATION "${CMAKE_INSTALL_DOCDIR}/docs"
        FILES_MATCHING PATTERN "*.md" PATTERN "completion" EXCLUDE)
foreach(document README.md CHANGELOG.md)
  install(FILES "${CMAKE_SOURCE_DIR}/${document}" DESTINATION "${CMAKE_INSTALL_DOCDIR}" OPTIONAL)
endforeach()
install(FILES "${CMAKE_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}" RENAME copyright)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME remediate)
set(CPACK_PACKAGE_VENDOR remediate)
set(CPACK_PACKAGE_CONTACT "The remediate maintainers <root@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "plans, applies and rolls back the removal of web shells")
set(CPACK_PACKAGE_DESCRIPTION
"Removes web shells and resets the server settings they came through, as an
approved change: a dry run that changes nothing, a signed plan, a removal that
survives crashes and races, sealed evidence, and a rollback of any part of it.")
set(CPACK_RESOURCE_FILE_LICENSE "${CMAKE_SOURCE_DIR}/LICENSE")
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_CHECKSUM SHA256)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Two packages: the health probe alone needs network libraries.
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL Unspecified probe)
set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_NAME remediate)
set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_SUGGESTS remediate-probe)
set(CPACK_DEBIAN_PROBE_PACKAGE_NAME remediate-probe)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
include(CPack)
