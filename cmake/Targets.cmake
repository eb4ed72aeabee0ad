# Warnings, sanitizers, and one static library a folder.
add_library(remediate_options INTERFACE)
target_compile_options(remediate_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast
  -Wcast-qual -Wformat=2 -Werror)
# GCC 12 warns falsely about "text" + string when it optimises (its bug 105651).
target_compile_options(remediate_options INTERFACE
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)
# libstdc++ 12 sorts with a helper that it declares deprecated itself; only clang tells.
target_compile_options(remediate_options INTERFACE
  $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
target_compile_definitions(remediate_options INTERFACE _FILE_OFFSET_BITS=64)
target_include_directories(remediate_options INTERFACE "${CMAKE_SOURCE_DIR}")
if(REMEDIATE_SANITIZE)
  target_compile_options(remediate_options INTERFACE
    -fsanitize=${REMEDIATE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g
    # GCC sees uninitialized values in the sanitizers' own instrumentation.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(remediate_options INTERFACE -fsanitize=${REMEDIATE_SANITIZE})
else()
  target_compile_options(remediate_options INTERFACE
    -fstack-protector-strong $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
  target_link_options(remediate_options INTERFACE -Wl,-z,relro,-z,now)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# remediate_library(NAME [PUBLIC dep...] [PRIVATE dep...]): every source of the
# calling folder (and of the given SUBFOLDERS) becomes the library NAME.
function(remediate_library name)
  cmake_parse_arguments(arg "" "" "PUBLIC;PRIVATE;SUBFOLDERS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "*.cpp")
  foreach(folder IN LISTS arg_SUBFOLDERS)
    file(GLOB more CONFIGURE_DEPENDS "${folder}/*.cpp")
    list(APPEND sources ${more})
  endforeach()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC remediate_options ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
endfunction()
