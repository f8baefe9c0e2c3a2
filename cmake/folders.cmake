# The headers that are read in most files, once. Its cost is one file; the sanitizer build goes without, so a file that
# forgets to include what it uses does not pass. Files compiled for one instruction set cannot share it (NO_PCH).
# Two of them, for a precompiled header is of one level of optimisation: what only configures, reports and reads command
# lines (COLD) is compiled with -O1, which takes a third less time.
add_library(lyceum_pch OBJECT ${PROJECT_SOURCE_DIR}/cmake/pch.cc)
add_library(lyceum_pch_cold OBJECT ${PROJECT_SOURCE_DIR}/cmake/pch.cc)
target_compile_options(lyceum_pch_cold PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O1>)
foreach(pch lyceum_pch lyceum_pch_cold)
target_link_libraries(${pch} PRIVATE Threads::Threads)
if(LYCEUM_PCH)
  target_precompile_headers(${pch} PRIVATE <algorithm> <cmath> <cstdint> <cstdio> <cstring> <functional> <map> <memory>
    <set> <sstream> <string> <string_view> <unordered_map> <vector> <nlohmann/json.hpp>)
endif()
endforeach()

# Most files are compiled several at a time too (unity): half of a file's cost is what it shares with its neighbours.
# UNITY n says how many; a change costs as much as its batch. With LYCEUM_PCH=OFF every file stands for itself.
function(lyceum_unity target files)
  if(LYCEUM_PCH)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${files})
  endif()
endfunction()

# lyceum_folder(name LEVEL n [NO_PCH] [COLD] [UNITY n] [SOURCES ...] [LINKS folders and libraries ...])
#
# Makes the target lyceum_<name> from src/<name>. Folders of one level never include each other, arrows point down:
# tools/check_layers.sh holds the includes against the levels written here.
function(lyceum_folder name)
  cmake_parse_arguments(ARG "NO_PCH;COLD" "LEVEL;UNITY" "SOURCES;LINKS" ${ARGN})
  list(TRANSFORM ARG_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/src/${name}/)
  add_library(lyceum_${name} STATIC ${ARG_SOURCES})
  target_include_directories(lyceum_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(lyceum_${name} PUBLIC Threads::Threads ${ARG_LINKS})
  if(ARG_COLD)
    target_compile_options(lyceum_${name} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O1>)
    set(pch lyceum_pch_cold)
  else()
    set(pch lyceum_pch)
  endif()
  if(LYCEUM_PCH AND NOT ARG_NO_PCH)
    target_precompile_headers(lyceum_${name} REUSE_FROM ${pch})
  endif()
  if(ARG_UNITY)
    lyceum_unity(lyceum_${name} ${ARG_UNITY})
  endif()
endfunction()

# lyceum_test(name [SLOW] [SOURCES ...] [LINKS ...]): tests/<name>_test.cc becomes build/lyceum_<name>_test.
# SLOW: above ten seconds or so; `./test quick` and the sanitizers leave it out.
function(lyceum_test name)
  cmake_parse_arguments(ARG "SLOW" "" "SOURCES;LINKS" ${ARGN})
  if(NOT ARG_SOURCES)
    set(ARG_SOURCES ${name}_test.cc)
  endif()
  add_executable(lyceum_${name}_test ${ARG_SOURCES})
  target_link_libraries(lyceum_${name}_test PRIVATE ${ARG_LINKS} GTest::gtest GTest::gtest_main)
  target_compile_definitions(lyceum_${name}_test PRIVATE LYCEUM_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  # -O1: a third less to compile, the code under test keeps its own level. -fPIC: as the precompiled headers have it.
  target_compile_options(lyceum_${name}_test PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O1> -fPIC)
  if(LYCEUM_PCH)
    target_precompile_headers(lyceum_${name}_test REUSE_FROM lyceum_test_pch)
  endif()
  add_test(NAME ${name} COMMAND lyceum_${name}_test)
  if(ARG_SLOW)
    set_tests_properties(${name} PROPERTIES LABELS slow)
  endif()
endfunction()
