# Installs into an empty prefix and uses what is there from another folder. Usage:
#   cmake -D BUILD=<build folder> -D SOURCE=<project> -D PREFIX=<scratch folder>
#     -D PLUGIN_SOURCE=<a plugin's .cpp> -P install_test.cmake

cmake_minimum_required(VERSION 3.25)

include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

file(REMOVE_RECURSE "${PREFIX}")
file(MAKE_DIRECTORY "${PREFIX}/elsewhere")
run("${BUILD}" ${CMAKE_COMMAND} --install "${BUILD}" --prefix "${PREFIX}")

foreach(file bin/tenon lib/tenon/plugins/lora_linear.so include/tenon/tenon.h include/tenon/sdk.hpp
        lib/cmake/tenon-sdk/tenon-sdk-config.cmake lib/pkgconfig/tenon-sdk.pc)
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
run("${PREFIX}/elsewhere" "${PREFIX}/bin/tenon" plugins --load --json --plugin-dir "${PREFIX}/elsewhere/build")
string(FIND "${output}" "${PREFIX}/elsewhere/build/author.so" position)
if(position EQUAL -1)
  message(FATAL_ERROR "the author's plugin is not listed:\n${output}")
endif()

# A new project builds as its README says, in each way, passes the check, and runs as it is.
set(tenon "${PREFIX}/bin/tenon")
run("${PREFIX}/elsewhere" "${tenon}" plugin new fresh --type torch.nn.Linear)
set(fresh "${PREFIX}/elsewhere/fresh")
file(READ "${fresh}/README.md" readme)
string(REGEX MATCH "    (c\\+\\+ [^\n]*)\n" found "${readme}")
run("${fresh}" sh -c "${CMAKE_MATCH_1}")
run("${fresh}" "${tenon}" plugin check lora_linear.so)
run("${fresh}" "${tenon}" run try.toml --plugin-dir . --json)
string(JSON trained GET "${output}" trainable_params)
if(NOT trained EQUAL 28 OR NOT EXISTS "${fresh}/adapter/adapter_model.safetensors")
  message(FATAL_ERROR "the new plugin trained ${trained} parameters, not 28:\n${output}")
endif()
file(READ "${fresh}/adapter/tenon.json" recorded)
string(JSON plugin GET "${recorded}" layers 0 plugin)
if(NOT plugin STREQUAL "my.lora-linear")
  message(FATAL_ERROR "the new plugin did not win over the built-in one: ${plugin} did")
endif()
run("${fresh}" ${CMAKE_COMMAND} -S . -B build -D "CMAKE_PREFIX_PATH=${PREFIX}")
run("${fresh}" ${CMAKE_COMMAND} --build build)
run("${fresh}" "${tenon}" plugin check build/lora_linear.so)
find_program(PKG_CONFIG NAMES pkg-config pkgconf)
if(PKG_CONFIG)
  run("${fresh}" ${CMAKE_COMMAND} -E env "PKG_CONFIG_PATH=${PREFIX}/lib/pkgconfig" sh -c
    "c++ -std=c++20 -O2 -shared lora_linear.cpp $(pkg-config --cflags --libs tenon-sdk) -o packaged.so")
  run("${fresh}" "${tenon}" plugin check packaged.so)
endif()

# What is there is never overwritten.
execute_process(COMMAND "${tenon}" plugin new fresh --type torch.nn.Linear
  WORKING_DIRECTORY "${PREFIX}/elsewhere" RESULT_VARIABLE status ERROR_VARIABLE errors)
if(status EQUAL 0 OR NOT errors MATCHES "fresh is there already and is not an empty folder")
  message(FATAL_ERROR "a second `plugin new` in the same folder: status ${status}\n${errors}")
endif()

# The SDK alone comes out of a whole build too.
run("${PREFIX}/elsewhere" ${CMAKE_COMMAND} --install "${BUILD}" --prefix "${PREFIX}/alone" --component sdk)
if(NOT EXISTS "${PREFIX}/alone/lib/cmake/tenon-sdk/tenon-sdk-config.cmake" OR EXISTS "${PREFIX}/alone/bin")
  message(FATAL_ERROR "--component sdk did not install the SDK alone")
endif()

# The SDK alone is configured and installed without LibTorch or any other library.
run("${PREFIX}/elsewhere" ${CMAKE_COMMAND} -S "${SOURCE}" -B sdk -D TENON_SDK_ONLY=ON
  -D CMAKE_DISABLE_FIND_PACKAGE_LibTorch=ON -D CMAKE_DISABLE_FIND_PACKAGE_Boost=ON
  -D "CMAKE_INSTALL_PREFIX=${PREFIX}/sdk_alone")
run("${PREFIX}/elsewhere" ${CMAKE_COMMAND} --install sdk)
if(NOT EXISTS "${PREFIX}/sdk_alone/include/tenon/sdk.hpp" OR EXISTS "${PREFIX}/sdk_alone/bin")
  message(FATAL_ERROR "the SDK alone was not what was installed")
endif()
file(REMOVE_RECURSE "${PREFIX}")
