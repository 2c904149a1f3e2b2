# Shows that check_includes.cmake catches what it is for: each case is a tree of one wrong file.
# Usage: cmake -D SCRATCH=<folder> -P check_includes_test.cmake

cmake_minimum_required(VERSION 3.25)

# A folder of the host says of itself that it uses what follows in ARGN.
function(check expected_status expected_text file content)
  file(REMOVE_RECURSE "${SCRATCH}")
  if(file MATCHES "^host/([a-z]+)/")
    list(JOIN ARGN ", " uses)
    file(WRITE "${SCRATCH}/host/${CMAKE_MATCH_1}/README.md" "- Uses: ${uses}\n")
  endif()
  file(WRITE "${SCRATCH}/${file}" "${content}\n")
  execute_process(
    COMMAND ${CMAKE_COMMAND} -D "ROOT=${SCRATCH}" -P "${CMAKE_CURRENT_LIST_DIR}/check_includes.cmake"
    RESULT_VARIABLE status ERROR_VARIABLE text)
  # CMake wraps long messages.
  string(REGEX REPLACE "[ \n]+" " " text "${text}")
  string(FIND "${text}" "${expected_text}" position)
  if(NOT status EQUAL expected_status OR position EQUAL -1)
    message(SEND_ERROR "${file} with ${content}\nexpected status ${expected_status} and "
      "\"${expected_text}\", got ${status}: ${text}")
  endif()
  file(REMOVE_RECURSE "${SCRATCH}")
endfunction()

function(rejected file content expected_text)
  check(1 "${file}: ${expected_text}" "${file}" "${content}" ${ARGN})
endfunction()

function(accepted file content)
  check(0 "" "${file}" "${content}" ${ARGN})
endfunction()

accepted(host/train/trainer.cpp "#include \"graph/graph.h\"\n#include <ATen/ATen.h>\n#include <vector>" graph)
check(1 "host/train/README.md: does not name graph, which its files include" host/train/trainer.cpp
  "#include \"graph/graph.h\"")
check(1 "host/train/README.md: names gone.cpp, which is not there" host/train/trainer.cpp "int x;" "`gone.cpp`")
check(1 "host/train/README.md: names plan, which no file includes" host/train/trainer.cpp
  "#include \"graph/graph.h\"" graph plan)
accepted(host/main.cpp "#include \"app/command_line.h\"")
accepted(host/base/safetensors.cpp "#include <nlohmann/json.hpp>")
accepted(plugins/hra/hra.cpp "#include \"common/matrix.hpp\"")
accepted(plugins/lora/lora_conv.cpp "#include \"lora/lora_math.hpp\"\n#include <tenon/sdk.hpp>")

accepted(host/plan/layer_planner.cpp "// As LoRA has it.\nint evaluate();")
rejected(host/plan/layer_planner.cpp "bool is_lora = method == 1;"
  "knows of \"lora\": what a method is stands in its plugin")
rejected(host/adapter/foreign_adapter.cpp "int x;" "knows of no method: take it off the list")
rejected(host/graph/graph.h "#include \"objectives/loss.h\""
  "includes objectives/loss.h: data flows from left to right")
rejected(host/adapter/adapter_store.cpp "#include <app/tree.h>" "includes app/tree.h: data flows")
rejected(host/graph/graph.cpp "#include \"graph.h\""
  "includes \"graph.h\": the host's includes start at host/")
rejected(host/graph/graph.cpp "#include <toml++/toml.h>"
  "includes toml++/toml.h: toml++ stays in host/config")
rejected(host/plugin/registry.cpp "#  include <boost/dll/shared_library.hpp>"
  "includes boost/dll/shared_library.hpp: Boost.DLL stays")
rejected(host/inject/adapter_init.cpp "#include <boost/regex.hpp>"
  "includes boost/regex.hpp: Boost.Regex stays")
rejected(host/base/log.h "#include <spdlog/spdlog.h>" "includes spdlog/spdlog.h: spdlog stays")
rejected(host/main.cpp "#include <CLI/CLI.hpp>" "includes CLI/CLI.hpp: CLI11 stays")
rejected(host/graph/graph.cpp "#include <nlohmann/json.hpp>"
  "includes nlohmann/json.hpp: nlohmann-json is for")
rejected(host/app/run.cpp "#include <torch/csrc/utils/generated_serialization_types.h>"
  "includes torch/csrc/utils/generated_serialization_types.h: the schema's header")
rejected(host/objectives/loss.cpp "#include <torch/torch.h>" "includes torch/torch.h: LibTorch's umbrella")
rejected(host/base/file.cpp "#include <c10/util/Exception.h>"
  "includes c10/util/Exception.h: this part works without LibTorch")
rejected(host/adapter/peft_names.h "#include <ATen/ATen.h>"
  "includes ATen/ATen.h: this part works without LibTorch")
rejected(host/targets/target_matcher.cpp "#include <ATen/ATen.h>"
  "includes ATen/ATen.h: this part works without LibTorch")
rejected(plugins/lora/lora_conv.cpp "#include \"ia3/ia3.h\""
  "includes \"ia3/ia3.h\": a plugin shares only plugins/common")
rejected(plugins/lora/lora_conv.cpp "#include \"../../host/base/error.h\""
  "includes \"../../host/base/error.h\": a plugin shares only plugins/common")
rejected(plugins/lora/lora_conv.cpp "#include <boost/any.hpp>"
  "includes <boost/any.hpp>: a plugin is built with the SDK alone")
accepted(sdk/include/tenon/torch/libtorch.hpp "#include <ATen/ATen.h>\n#include \"tenon/cpp/tensor.hpp\"")
rejected(sdk/include/tenon/sdk.hpp "#include \"tenon/torch/libtorch.hpp\""
  "includes tenon/torch/libtorch.hpp: only an author who wants LibTorch pays for its headers")
rejected(sdk/include/tenon/layer_type.h "#include <boost/any.hpp>"
  "includes boost/any.hpp: the SDK needs nothing but a compiler")
string(REPEAT "\n" 301 long_file)
rejected(host/base/file.cpp "${long_file}" "302 lines: a file has one responsibility")
