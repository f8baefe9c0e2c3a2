# lyceum_folder(name LEVEL n [SOURCES ...] [LINKS folders and libraries ...])
#
# Makes the target lyceum_<name> from src/<name>. Folders of one level never include each other, arrows point down:
# tools/check_layers.py holds the includes against the levels written here.
function(lyceum_folder name)
  cmake_parse_arguments(ARG "" "LEVEL" "SOURCES;LINKS" ${ARGN})
  list(TRANSFORM ARG_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/src/${name}/)
  add_library(lyceum_${name} STATIC ${ARG_SOURCES})
  target_include_directories(lyceum_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(lyceum_${name} PUBLIC Threads::Threads ${ARG_LINKS})
endfunction()

# lyceum_test(name [SOURCES ...] [LINKS ...]): tests/<name>_test.cc becomes build/lyceum_<name>_test.
function(lyceum_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  if(NOT ARG_SOURCES)
    set(ARG_SOURCES ${name}_test.cc)
  endif()
  add_executable(lyceum_${name}_test ${ARG_SOURCES})
  target_link_libraries(lyceum_${name}_test PRIVATE ${ARG_LINKS} GTest::gtest GTest::gtest_main)
  target_compile_definitions(lyceum_${name}_test PRIVATE LYCEUM_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND lyceum_${name}_test)
endfunction()
