#include "app/new_plugin_texts.h"

namespace tenon::new_plugin {

const char* const kLowRankSource =
    R"(// LoRA for @TYPE@: each weight W becomes W + s * B A, for any number of dimensions as a matrix of
// one row for each of the first. Leave out what should stay as it is in is_adapted.
#include <string>

#include <tenon/sdk.hpp>

namespace {

struct @STRUCT@ : tenon::Layer<@STRUCT@> {
  static constexpr tenon::layer_type kType{.id = "@LAYER_ID@",
                                           .method = "lora",
                                           .base = "@TYPE@",
                                           .title = "lora.@CLASS@",
                                           .doc = "Low-rank update of each weight."};

  // Names, shapes and starts of the parameters; the host makes, trains, saves and loads them.
  static void add_adapter(Setup& setup) {
    const auto r = setup.option<std::int64_t>("r");
    for (const Weight& weight : setup.base().weights()) {
      if (!is_adapted(weight)) continue;
      const std::string name(weight.name);
      setup.parameter("lora_A." + name, {r, columns(weight)}, tenon::Init::kaiming_uniform());
      setup.parameter("lora_B." + name, {weight.shape[0], r}, tenon::Init::zeros());
    }
  }

  // The host runs the layer with these weights, in training too, and merges with them. To compute
  // the output otherwise, add
  //   static Outputs forward(Call& call);
  // which gets at the frozen layer by call.base().
  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (!is_adapted(weight)) return {};
    const std::uint32_t place = place_of(call, weight);
    Tensor merged = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      const Tensor delta = matmul(adapter.parameter(place + 1), adapter.parameter(place));
      merged = add(merged, to_dtype(reshape(delta, weight.shape), weight.dtype), adapter.scaling());
    }
    return merged;
  }

 private:
  static bool is_adapted(const Weight& weight) {
    return !weight.is_buffer && !weight.shape.empty();
  }

  static std::int64_t columns(const Weight& weight) {
    std::int64_t count = 1;
    for (std::size_t i = 1; i < weight.shape.size(); ++i) count *= weight.shape[i];
    return count;
  }

  // Where the weight's lora_A stands among the parameters; its lora_B is the next.
  static std::uint32_t place_of(const Call& call, const Weight& wanted) {
    std::uint32_t place = 0;
    for (const Weight& weight : call.base_info().weights()) {
      if (weight.index == wanted.index) break;
      if (is_adapted(weight)) place += 2;
    }
    return place;
  }
};

}  // namespace

TENON_PLUGIN("@PLUGIN_ID@", "0.1.0", @STRUCT@)
)";

const char* const kOffsetSource =
    R"(// @METHOD@ for @TYPE@: each weight W becomes W + s * offset. Leave out what should stay as it is in
// is_adapted.
#include <string>

#include <tenon/sdk.hpp>

namespace {
@METHOD_STRUCT@
struct @STRUCT@ : tenon::Layer<@STRUCT@> {
  static constexpr tenon::layer_type kType{.id = "@LAYER_ID@",
                                           .method = "@METHOD@",
                                           .base = "@TYPE@",
                                           .title = "@METHOD@.@CLASS@",
                                           .doc = "A trainable offset of each weight."};

  // Names, shapes and starts of the parameters; the host makes, trains, saves and loads them.
  static void add_adapter(Setup& setup) {
    for (const Weight& weight : setup.base().weights()) {
      if (!is_adapted(weight)) continue;
      setup.parameter("@METHOD@_offset." + std::string(weight.name), weight.shape,
                      tenon::Init::zeros());
    }
  }

  // The host runs the layer with these weights, in training too, and merges with them. To compute
  // the output otherwise, add
  //   static Outputs forward(Call& call);
  // which gets at the frozen layer by call.base().
  static Tensor merged_weight(Call& call, const Weight& weight) {
    if (!is_adapted(weight)) return {};
    std::uint32_t place = 0;
    for (const Weight& other : call.base_info().weights()) {
      if (other.index == weight.index) break;
      if (is_adapted(other)) ++place;
    }
    Tensor merged = call.weight(weight);
    for (const tenon::Adapter& adapter : call.adapters()) {
      merged = add(merged, to_dtype(adapter.parameter(place), weight.dtype), adapter.scaling());
    }
    return merged;
  }

 private:
  static bool is_adapted(const Weight& weight) {
    return !weight.is_buffer && !weight.shape.empty();
  }
};

}  // namespace

TENON_PLUGIN("@PLUGIN_ID@", "0.1.0", @PARTS@)
)";

const char* const kMethodStruct = R"(
// The method itself: its name, and keys of [adapter] in kKeys if it has any. Its adapters scale if it
// has a `static double scaling(const Setup&)`.
struct @METHOD_CLASS@ : tenon::Method<@METHOD_CLASS@> {
  static constexpr tenon::method_type kMethod{.name = "@METHOD@"};
};
)";

const char* const kCmakeLists = R"(cmake_minimum_required(VERSION 3.25)
project(@NAME@ LANGUAGES CXX)
find_package(tenon-sdk REQUIRED)
tenon_add_plugin(@NAME@ @NAME@.cpp)
)";

const char* const kReadme = R"(# @PLUGIN_ID@

A Tenon plugin: method @METHOD@ on layers of type @TYPE@. The layer is in `@NAME@.cpp`.

## Build
With one compiler call; LibTorch is not needed:

    c++ -std=c++20 -O2 -shared -fPIC -fvisibility=hidden -I @INCLUDE@ @NAME@.cpp -o @NAME@.so

or with CMake, `@PREFIX@` being where Tenon is installed:

    cmake -S . -B build -D CMAKE_PREFIX_PATH=@PREFIX@
    cmake --build build

## Check
    tenon plugin check @NAME@.so@CHECK_MODEL@

tries it by every rule that the host relies on: gradients, merging, threads, errors, ownership.
@EXPORT_SECTION@
## Try
    tenon plan try.toml --plugin-dir .    # what is adapted
    tenon run try.toml --plugin-dir .     # trains it and saves the adapter in adapter/

## Use
    tenon plugin install @NAME@.so

From then on every config whose `target_modules` names a layer of this type adapts it, and an adapter
that was saved finds the plugin again by itself.
)";

const char* const kTryDeclared =
    R"(# Trains an adapter of @PLUGIN_ID@ on one layer, with data made up for it:
#
#     tenon run try.toml --plugin-dir .

[model]
name = "Trial"

[[model.layers]]
name = "layer"
@DECLARATION@
)";

const char* const kTryExported =
    R"(# Trains an adapter of @PLUGIN_ID@ on the model that export_model.py writes:
#
#     python export_model.py
#     tenon run try.toml --plugin-dir .

[model]
path = "model.pt2"
)";

const char* const kExportScript =
    R"(# Writes a model around one @CLASS@, and data to try it with. Adapt the lines with an arrow.
import torch
from safetensors.torch import save_file
from torch import nn

from @MODULE@ import @CLASS@

ROWS, FEATURES = 16, 8


class Trial(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = @CLASS@(FEATURES)  # <- its constructor's arguments

    def forward(self, x):
        return self.layer(x)  # <- its inputs


x = torch.randn(ROWS, FEATURES)  # <- what goes in
model = Trial().eval()
batch = torch.export.Dim("batch")
program = torch.export.export(model, (x,), dynamic_shapes=({0: batch},))
torch.export.save(program, "model.pt2")
save_file({"x": x, "labels": torch.randn_like(model(x))}, "train.safetensors")
)";

}  // namespace tenon::new_plugin
