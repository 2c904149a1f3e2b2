# Checks who includes whom. Usage: cmake -D ROOT=<project> -P check_includes.cmake
#
# host/ folders stand in the order data flows, and a folder includes only itself and those folders to
# its left that its README names after "Uses:", each of which it needs. Each dependency has one door. Plugins see the SDK alone. All breaches are reported at once,
# each with its reason.

cmake_minimum_required(VERSION 3.25)

set(host_folders base config targets quantize plugin index graph interpreter pt2 declared model capture plan inject
  adapted ranks objectives data train start adapter operations check install app)
set(line_limit 300)
# Sources that may be longer, each with its reason in a comment beside it.
set(may_be_long
  host/app/command_line.cpp      # every verb with its options, as its help lists them
  host/plan/layer_planner.cpp  # one class: what of a layer is asked of the graph and of plugins
  host/train/trainer.cpp         # the loop, and the state that it falls back to
)

# What the host still knows of single methods: the list only becomes shorter. Fused operators are offered
# to all plugins by their names, and the texts of `plugin new` are a plugin.
set(knows_methods
  host/adapter/foreign_adapter.cpp)
set(may_know_methods
  "^host/(plugin/(fused_operators|lora_(linear|conv)_function)|app/(new_(model_)?plugin|plugin_new)|library/|include/)")

function(breach what reason)
  set_property(GLOBAL APPEND_STRING PROPERTY breaches "\n  ${file}: ${what}: ${reason}")
endfunction()

# The checks below look at the current `file`, `header` and whether it is `quoted`.

# Headers that match may be included only by sources that match.
function(door header_regex source_regex reason)
  if(header MATCHES "${header_regex}" AND NOT file MATCHES "${source_regex}")
    breach("includes ${header}" "${reason}")
  endif()
endfunction()

function(check_doors)
  door("^toml\\+\\+/" "^host/config/"
    "toml++ stays in host/config, the rest of the host sees plain structs")
  door("^boost/dll" "^host/plugin/plugin_library\\.cpp$"
    "Boost.DLL stays in plugin/plugin_library.cpp, which alone opens libraries")
  door("^boost/regex" "^host/targets/python_regex\\.cpp$"
    "Boost.Regex stays in targets/python_regex.cpp, which alone compiles expressions")
  door("^(spdlog|fmt)/" "^host/base/log\\.cpp$"
    "spdlog stays in base/log.cpp, since its fmt is not the one that LibTorch bundles")
  door("^CLI/" "^host/app/" "CLI11 stays in host/app, which alone reads a command line")
  door("^nlohmann/" "^host/(base/(json|safetensors)\\.(h|cpp)$|pt2/|model/packed_file|adapter/|operations/|app/)"
    "nlohmann-json is for what reads or writes JSON: base/json and safetensors, pt2, model/packed_file, adapter, operations, app")
  door("^torch/csrc/utils/generated_serialization_types\\.h$" "^host/pt2/pt2_[a-z_]+\\.cpp$"
    "the schema's header takes 13 seconds to compile, so only the schema's reader pays for it")
  door("^(torch/csrc/distributed|gloo)/" "^host/ranks/c10d\\.h$"
    "c10d is included by ranks/c10d.h alone: its headers are slow, and move between versions")
  door("^torch/(torch|all)\\.h$" "^$" "LibTorch's umbrella headers compile slowly, include what is used")
  if(header MATCHES "^(torch|ATen|c10|caffe2)/" AND NOT file MATCHES "^sdk/include/tenon/torch/" AND
     file MATCHES "^(sdk|plugins|host/(base|config|targets))/|^host/adapter/peft_")
    breach("includes ${header}" "this part works without LibTorch, so it builds in seconds")
  endif()
endfunction()

# host/<folder>/...: quoted includes are <folder>/<file>, from the left or from the folder itself.
function(check_order)
  string(REGEX REPLACE "^host/([^/]*)/.*$" "\\1" folder "${file}")
  list(FIND host_folders "${folder}" place)
  string(REGEX REPLACE "/.*$" "" other "${header}")
  list(FIND host_folders "${other}" other_place)
  if(place EQUAL -1)
    # host/main.cpp and host/cmake stand right of all folders.
  elseif(quoted AND other_place EQUAL -1)
    breach("includes \"${header}\"" "the host's includes start at host/, as in \"base/error.h\"")
  elseif(other_place GREATER place)
    breach("includes ${header}"
      "data flows from left to right (${host_folders_text}), and ${other} is right of ${folder}")
  endif()
  if(place GREATER_EQUAL 0 AND other_place GREATER_EQUAL 0 AND NOT other STREQUAL folder)
    set_property(GLOBAL APPEND PROPERTY "uses_${folder}" "${other}")
  endif()
endfunction()

# plugins/<folder>/...: the standard library, the SDK, the folder's own headers and those of common.
function(check_plugin)
  string(REGEX REPLACE "^plugins/([^/]*)/.*$" "\\1" folder "${file}")
  if(quoted)
    if(header MATCHES "/" AND NOT header MATCHES "^(common|${folder})/[^/]*$")
      breach("includes \"${header}\"" "a plugin shares only plugins/common with others")
    endif()
  elseif(header MATCHES "/" AND NOT header MATCHES "^tenon/")
    breach("includes <${header}>" "a plugin is built with the SDK alone, so it needs only <tenon/...>")
  endif()
endfunction()

# tenon/torch is for authors who want LibTorch itself; nothing else of the SDK leads there.
function(check_sdk)
  if(file MATCHES "^sdk/include/tenon/torch/")
    return()
  endif()
  if(header MATCHES "^tenon/torch/")
    breach("includes ${header}" "only an author who wants LibTorch pays for its headers")
  endif()
  if(header MATCHES "/" AND NOT header MATCHES "^tenon/")
    breach("includes ${header}" "the SDK needs nothing but a compiler")
  endif()
endfunction()

# Names and strings; what comments say is for people.
function(check_methods)
  if(file MATCHES "${may_know_methods}")
    return()
  endif()
  file(READ "${ROOT}/${file}" content)
  string(REGEX REPLACE "//[^\n]*" "" content "${content}")
  string(TOLOWER "${content}" content)
  string(REGEX MATCH "lora|dora|pissa|corda|ia3|[^a-z]eva[^a-z]" word "${content}")
  if(word AND NOT file IN_LIST knows_methods)
    breach("knows of \"${word}\"" "what a method is stands in its plugin, so that each passes the same door")
  elseif(NOT word AND file IN_LIST knows_methods)
    breach("knows of no method" "take it off the list of those that do")
  endif()
endfunction()

# What host/<folder>/README.md says that the folder uses is what its files include.
function(check_uses folder)
  set(file "host/${folder}/README.md")
  if(NOT EXISTS "${ROOT}/${file}")
    breach("is missing" "it says what the folder gets, gives and uses")
    return()
  endif()
  file(STRINGS "${ROOT}/${file}" line REGEX "^- Uses: ")
  string(REGEX MATCHALL "[a-z0-9_]+" allowed "${line}")
  list(REMOVE_ITEM allowed ses nothing)
  get_property(used GLOBAL PROPERTY "uses_${folder}")
  list(REMOVE_DUPLICATES used)
  foreach(other IN LISTS used)
    if(NOT other IN_LIST allowed)
      breach("does not name ${other}, which its files include" "take less, or say that it is needed")
    endif()
  endforeach()
  foreach(other IN LISTS allowed)
    if(NOT other IN_LIST used)
      breach("names ${other}, which no file includes" "take it off")
    endif()
  endforeach()
  file(READ "${ROOT}/${file}" content)
  string(REGEX MATCHALL "`[a-z0-9_/]+[.](cpp|h)`" names "${content}")
  foreach(name IN LISTS names)
    string(REPLACE "`" "" name "${name}")
    if(NOT EXISTS "${ROOT}/host/${folder}/${name}" AND NOT EXISTS "${ROOT}/host/${name}")
      breach("names ${name}, which is not there" "say where that is now")
    endif()
  endforeach()
endfunction()

function(check_length)
  file(READ "${ROOT}/${file}" content)
  string(REGEX MATCHALL "\n" newlines "${content}")
  list(LENGTH newlines lines)
  if(lines GREATER line_limit AND NOT file IN_LIST may_be_long)
    breach("${lines} lines"
      "a file has one responsibility and at most ${line_limit} lines, so split it")
  endif()
endfunction()

list(JOIN host_folders " -> " host_folders_text)
file(GLOB_RECURSE files RELATIVE "${ROOT}"
  "${ROOT}/host/*.h" "${ROOT}/host/*.cpp" "${ROOT}/sdk/*.h" "${ROOT}/sdk/*.hpp"
  "${ROOT}/plugins/*.h" "${ROOT}/plugins/*.hpp" "${ROOT}/plugins/*.c" "${ROOT}/plugins/*.cpp")
if(NOT files)
  message(FATAL_ERROR "no sources under ${ROOT}")
endif()
foreach(file IN LISTS files)
  check_length()
  if(file MATCHES "^host/")
    check_methods()
  endif()
  file(STRINGS "${ROOT}/${file}" includes REGEX "^[ \t]*#[ \t]*include[ \t]*[<\"]")
  foreach(include IN LISTS includes)
    string(REGEX REPLACE "^[^<\"]*[<\"]([^>\"]*)[>\"].*$" "\\1" header "${include}")
    string(REGEX MATCH "^[^<]*\"" quoted "${include}")
    check_doors()
    if(file MATCHES "^host/")
      check_order()
    elseif(file MATCHES "^plugins/")
      check_plugin()
    else()
      check_sdk()
    endif()
  endforeach()
endforeach()
foreach(folder IN LISTS host_folders)
  if(IS_DIRECTORY "${ROOT}/host/${folder}")
    check_uses(${folder})
  endif()
endforeach()
get_property(breaches GLOBAL PROPERTY breaches)
if(breaches)
  message(FATAL_ERROR "the layering is broken:${breaches}")
endif()
