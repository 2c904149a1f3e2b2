# Installs into an empty prefix and builds a program of someone else's on it. Usage:
#   cmake -D BUILD=<build folder> -D PREFIX=<scratch folder> -D EXAMPLE=<its sources>
#     -D COMPILER=<C++ compiler> -D TARGET=<all, or the first of them alone> -P library_test.cmake

cmake_minimum_required(VERSION 3.25)

include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

file(REMOVE_RECURSE "${PREFIX}")
file(MAKE_DIRECTORY "${PREFIX}/elsewhere")
run("${BUILD}" ${CMAKE_COMMAND} --install "${BUILD}" --prefix "${PREFIX}")

# The installed tree alone, found by find_package(tenon); its header is the first that is included.
run("${PREFIX}/elsewhere" ${CMAKE_COMMAND} -S "${EXAMPLE}" -B build
  -D "CMAKE_PREFIX_PATH=${PREFIX}" -D "CMAKE_CXX_COMPILER=${COMPILER}" -D CMAKE_BUILD_TYPE=Debug
  -D "CMAKE_CXX_FLAGS=-Wall -Wextra -Werror")
run("${PREFIX}/elsewhere" ${CMAKE_COMMAND} --build build --target ${TARGET})
run("${PREFIX}/elsewhere" "${PREFIX}/elsewhere/build/example")
foreach(text "trainable params: 5,362 || all params: 50,164 || trainable%: 10.6889"
        "the model's own forward gives the adapted output: yes")
  string(FIND "${output}" "${text}" position)
  if(position EQUAL -1)
    message(FATAL_ERROR "the example does not print `${text}`:\n${output}")
  endif()
endforeach()
if(NOT EXISTS "${PREFIX}/elsewhere/adapter/adapter_model.safetensors")
  message(FATAL_ERROR "the example saved no adapter")
endif()

# example_prints(serve "..." ...): runs one of the others and looks for what it must print.
function(example_prints program)
  run("${PREFIX}/elsewhere" "${PREFIX}/elsewhere/build/${program}")
  foreach(text IN LISTS ARGN)
    string(FIND "${output}" "${text}" position)
    if(position EQUAL -1)
      message(FATAL_ERROR "the example ${program} does not print `${text}`:\n${output}")
    endif()
  endforeach()
endfunction()
if("${TARGET}" STREQUAL "all")
  example_prints(serve "answered 400 requests with 25 adapters")
  example_prints(early_stopping "of 400 steps: yes" "the same steps from the saved state: yes")
  example_prints(merge)
  # Two processes side by side, as a launcher starts them.
  if(EXISTS "${PREFIX}/elsewhere/build/ddp")
    string(RANDOM LENGTH 4 ALPHABET 123456789 port)
    run("${PREFIX}/elsewhere" sh -c "export WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=2${port}
      RANK=1 build/ddp & RANK=0 build/ddp && wait $!")
    foreach(rank 0 1)
      if(NOT output MATCHES "process ${rank} of 2: the loss fell: yes; the adapter is that of process 0: yes")
        message(FATAL_ERROR "process ${rank} of the example ddp did not learn:\n${output}")
      endif()
    endforeach()
  endif()
  example_prints(evaluate "stock LibTorch gives the adapted output: yes")
endif()

# Public headers and nothing of the host's own.
file(GLOB_RECURSE headers RELATIVE "${PREFIX}/include" "${PREFIX}/include/*")
foreach(header IN LISTS headers)
  if(NOT header MATCHES "^tenon/([a-z_]+\\.(h|hpp)|(cpp|draft|ext|torch)/[a-z_]+\\.(h|hpp))$")
    message(FATAL_ERROR "${header} is installed and is no public header")
  endif()
  file(STRINGS "${PREFIX}/include/${header}" inner REGEX "#include \"(base|config|plugin|model|inject|adapter)/")
  if(inner)
    message(FATAL_ERROR "${header} includes what is not installed: ${inner}")
  endif()
endforeach()

# find_package refuses another version, and parts that there are not.
foreach(wanted "9.0" "0.0" "0.1 COMPONENTS adapt serve")
  file(WRITE "${PREFIX}/elsewhere/refused/CMakeLists.txt"
    "cmake_minimum_required(VERSION 3.25)\nproject(refused LANGUAGES CXX)\nfind_package(tenon ${wanted} REQUIRED)\n")
  execute_process(COMMAND ${CMAKE_COMMAND} -S refused -B refused/build
      -D "CMAKE_PREFIX_PATH=${PREFIX}" -D "CMAKE_CXX_COMPILER=${COMPILER}"
    WORKING_DIRECTORY "${PREFIX}/elsewhere" RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE errors)
  if(status EQUAL 0 OR NOT errors MATCHES "tenon")
    message(FATAL_ERROR "find_package(tenon ${wanted}) was not refused:\n${errors}")
  endif()
endforeach()

# A model plugin as `plugin new` writes it, from the first command of its README to an adapter that is
# loaded again.
set(tenon "${PREFIX}/bin/tenon")
set(project "${PREFIX}/elsewhere/model")
run("${PREFIX}/elsewhere" ${tenon} plugin new model --model acme.net)
run("${project}" ${CMAKE_COMMAND} -S . -B build -D "CMAKE_PREFIX_PATH=${PREFIX}"
  -D "CMAKE_CXX_COMPILER=${COMPILER}" -D "CMAKE_CXX_FLAGS=-Wall -Wextra -Werror")
run("${project}" ${CMAKE_COMMAND} --build build)
run("${project}" ${tenon} plugins --plugin-dir build)
if(NOT output MATCHES "acme\\.net")
  message(FATAL_ERROR "`tenon plugins` does not list acme.net:\n${output}")
endif()
run("${project}" ${tenon} tree try.toml --plugin-dir build)
foreach(layer first second last)
  if(NOT output MATCHES "'${layer}', torch\\.nn\\.Linear")
    message(FATAL_ERROR "`tenon tree` does not list ${layer}:\n${output}")
  endif()
endforeach()
run("${project}" ${tenon} plan try.toml --plugin-dir build)
run("${project}" ${tenon} run try.toml --plugin-dir build)
run("${project}" ${tenon} predict try.toml --plugin-dir build --adapter adapter
  --inputs train.safetensors --outputs out.safetensors)
if(NOT EXISTS "${project}/out.safetensors")
  message(FATAL_ERROR "the model plugin's adapter was not loaded again")
endif()

# Nothing but Tenon's own names leaves the library.
find_program(NM nm)
if(NM)
  file(GLOB library "${PREFIX}/lib/libtenon.so")
  run("${PREFIX}/elsewhere" ${NM} --dynamic --defined-only --demangle "${library}")
  string(REGEX MATCHALL "[^\n]*(spdlog|boost|toml|nlohmann)[^\n]*" foreign "${output}")
  if(foreign)
    message(FATAL_ERROR "the library exports what is not its own:\n${foreign}")
  endif()
endif()
file(REMOVE_RECURSE "${PREFIX}")
