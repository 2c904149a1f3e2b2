#include "app/new_model_plugin.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cctype>

#include "app/project_files.h"
#include "base/error.h"
#include "model/tensor_file.h"

namespace tenon {
namespace fs = std::filesystem;
namespace {

constexpr const char* kSource =
    R"(// A C++ model as a Tenon plugin: `[model] plugin = "@MODEL@"` in a config makes it.
#include <tenon/model_plugin.h>
#include <torch/nn/modules/linear.h>

namespace {

// <- Your own model. It need not know Tenon, which runs it a few times to see what it does.
struct Model : torch::nn::Module {
  explicit Model(std::int64_t hidden)
      : first(register_module("first", torch::nn::Linear(20, hidden))),
        second(register_module("second", torch::nn::Linear(hidden, hidden))),
        last(register_module("last", torch::nn::Linear(hidden, 2))) {}

  at::Tensor forward(const at::Tensor& x) {
    return at::log_softmax(last(at::relu(second(at::relu(first(x))))), -1);
  }

  torch::nn::Linear first, second, last;
};

// The model, and an example of its inputs. An option is read with the default that it has without.
tenon::CallableModel make(const tenon::ModelOptions& options) {
  const auto model = std::make_shared<Model>(options.integer("hidden", 200));
  return tenon::callable_model(model, {at::zeros({2, 20})});
}

}  // namespace

TENON_MODEL_PLUGIN("@PLUGIN_ID@", "0.1.0", {"@MODEL@", make})
)";

constexpr const char* kCmakeLists = R"(cmake_minimum_required(VERSION 3.25)
project(@NAME@ LANGUAGES CXX)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
find_package(tenon REQUIRED)
tenon_add_model_plugin(@NAME@ @NAME@.cpp)
)";

constexpr const char* kTry = R"(# Trains a LoRA adapter on @MODEL@:
#
#     tenon run try.toml --plugin-dir build

[model]
plugin = "@MODEL@"
# weights = "model.safetensors"  # by the names of `tenon tree`; without, as the constructor made them
seed = 0

[model.options]
hidden = 200

[adapter]
target_modules = ["first", "second"]
modules_to_save = ["last"]

[data]
train = "train.safetensors"

[train]
loss = "nll"
learning_rate = 0.002
epochs = 10
batch_size = 32

[output]
directory = "adapter"
force = true  # each run replaces it
)";

constexpr const char* kReadme = R"(# @PLUGIN_ID@

A Tenon plugin with the C++ model `@MODEL@`, a `torch::nn::Module` in `@NAME@.cpp`.

## Build
`@PREFIX@` is where Tenon is installed. The library shares C++ objects with Tenon, so it is built with
Tenon's own LibTorch, which CMake finds by itself; another one is refused before any of the code runs.

    cmake -S . -B build -D CMAKE_PREFIX_PATH=@PREFIX@
    cmake --build build

## Try
    tenon plugins --plugin-dir build          # the plugin is found
    tenon tree try.toml --plugin-dir build    # the model's named modules
    tenon plan try.toml --plugin-dir build    # what would be adapted
    tenon run try.toml --plugin-dir build     # trains it and saves the adapter in adapter/

`train.safetensors` holds 256 rows of 20 numbers, labelled by whether their sum is above 10.

## Use
    tenon plugin install build/@NAME@.so

From then on every config may say `plugin = "@MODEL@"` in its `[model]`.
)";

bool is_word(const std::string& word) {
  return !word.empty() && std::isdigit(static_cast<unsigned char>(word[0])) == 0 &&
         std::all_of(word.begin(), word.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

// Where Tenon is installed, with its library beside the program.
std::string prefix() {
  std::error_code failed;
  const fs::path program = fs::read_symlink("/proc/self/exe", failed).parent_path();
  const fs::path folder = program.parent_path();
  return fs::exists(folder / "lib/cmake/tenon/tenon-config.cmake") ? folder.string() : "PREFIX";
}

void write_data(const fs::path& file) {
  const at::Tensor x = at::rand({256, 20}, at::make_generator<at::CPUGeneratorImpl>(1));
  write_tensor_file(file, {{"input", x}, {"labels", (x.sum(1) > 10).to(at::kLong)}});
}

}  // namespace

std::vector<std::string> write_new_model_plugin(const fs::path& folder, const std::string& model) {
  const std::size_t dot = model.find('.');
  const std::string vendor = model.substr(0, dot);
  const std::string name = dot == std::string::npos ? "" : model.substr(dot + 1);
  if (!is_word(vendor) || !is_word(name)) {
    throw Error({.stage = Stage::kCommandLine,
                 .message = "`" + model + "` is no name for a model",
                 .hint = "write who makes it and what it is: acme.mlp"});
  }
  const ProjectFiles files{{name + ".cpp", kSource},
                           {"CMakeLists.txt", kCmakeLists},
                           {"try.toml", kTry},
                           {"README.md", kReadme}};
  write_project(folder, files,
                {{"MODEL", model},
                 {"NAME", name},
                 {"PLUGIN_ID", vendor + "." + name + "-model"},
                 {"PREFIX", prefix()}});
  std::vector<std::string> written;
  for (const auto& [file, text] : files) written.push_back(file);
  write_data(folder / "train.safetensors");
  written.emplace_back("train.safetensors");
  return written;
}

}  // namespace tenon
