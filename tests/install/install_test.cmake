# Installs into an empty prefix and uses what is there from another folder. Usage:
#   cmake -D BUILD=<build folder> -D PREFIX=<scratch folder> -D PLUGIN_SOURCE=<a plugin's .cpp>
#     -P install_test.cmake

cmake_minimum_required(VERSION 3.25)

function(run folder)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY "${folder}"
    RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE errors)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}: status ${status}\n${output}${errors}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${PREFIX}")
file(MAKE_DIRECTORY "${PREFIX}/elsewhere")
run("${BUILD}" ${CMAKE_COMMAND} --install "${BUILD}" --prefix "${PREFIX}")

foreach(file bin/tenon lib/tenon/plugins/lora_linear.so include/tenon/tenon.h include/tenon/sdk.hpp
        lib/cmake/tenon-sdk/tenon-sdk-config.cmake)
  if(NOT EXISTS "${PREFIX}/${file}")
    message(FATAL_ERROR "${file} was not installed")
  endif()
endforeach()

# The installed host finds LibTorch and its plugins from any working directory.
run("${PREFIX}/elsewhere" "${PREFIX}/bin/tenon" plugins --json)
string(FIND "${output}" "\"${PREFIX}/lib/tenon/plugins/lora_linear.so\"" position)
if(position EQUAL -1)
  message(FATAL_ERROR "the installed host lists other plugins than the installed ones:\n${output}")
endif()

# An author with the installed SDK alone builds a plugin that the installed host loads.
file(WRITE "${PREFIX}/elsewhere/CMakeLists.txt" [[
cmake_minimum_required(VERSION 3.25)
project(author LANGUAGES CXX)
find_package(tenon-sdk REQUIRED)
tenon_add_plugin(author author.cpp)
]])
file(COPY_FILE "${PLUGIN_SOURCE}" "${PREFIX}/elsewhere/author.cpp")
run("${PREFIX}/elsewhere" ${CMAKE_COMMAND} -S . -B build -D "CMAKE_PREFIX_PATH=${PREFIX}"
  -D CMAKE_BUILD_TYPE=Release)
run("${PREFIX}/elsewhere" ${CMAKE_COMMAND} --build build)
run("${PREFIX}/elsewhere" "${PREFIX}/bin/tenon" plugins --json --plugin-dir "${PREFIX}/elsewhere/build")
string(FIND "${output}" "${PREFIX}/elsewhere/build/author.so" position)
if(position EQUAL -1)
  message(FATAL_ERROR "the author's plugin is not listed:\n${output}")
endif()
file(REMOVE_RECURSE "${PREFIX}")
