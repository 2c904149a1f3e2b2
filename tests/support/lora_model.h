#pragma once

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "adapted/adapted_model.h"
#include "declared/declared_model.h"
#include "plugin/plugin_registry.h"

namespace tenon::testing {

inline const PluginRegistry& built_in_plugins() {
  static const PluginRegistry plugins({}, {TENON_TEST_PLUGINS});
  return plugins;
}

// An adapter that changes the output from the start; lora_alpha / r is 2.
inline AdapterConfig lora(const std::string& name, std::vector<std::string> targets) {
  AdapterConfig config;
  config.name = name;
  config.target_modules = std::move(targets);
  config.method_keys["r"] = std::int64_t{2};
  config.method_keys["lora_alpha"] = std::int64_t{4};
  config.method_keys["init_lora_weights"] = false;
  return config;
}

inline bool same(const at::Tensor& one, const at::Tensor& other) { return at::equal(one, other); }

// seq.0 and seq.2 with a ReLU between them, then seq.4, or `head` with head.0 and head.1.
inline ModelData small_mlp(const std::string& dtype = "float32", bool with_head = false) {
  ModelConfig config;
  config.dtype = dtype;
  const auto add = [&](const char* name, std::int64_t in, std::int64_t out) {
    config.layers.push_back({name, "Linear", {{"in_features", in}, {"out_features", out}}, "test"});
  };
  add("seq.0", 6, 8);
  config.layers.push_back({"seq.1", "ReLU", {}, "test"});
  add("seq.2", 8, 8);
  if (with_head) {
    add("head.0", 8, 5);
    add("head.1", 5, 3);
  } else {
    add("seq.4", 8, 3);
  }
  return build_declared_model(config);
}

// words, an Embedding of 7 words, and head, a Linear to 7, with one weight; mid between them.
inline ModelData tied_model(const std::string& dtype = "float32") {
  ModelConfig config;
  config.dtype = dtype;
  config.layers = {
      {"words", "Embedding", {{"num_embeddings", 7}, {"embedding_dim", 4}}, "test"},
      {"mid", "Linear", {{"in_features", 4}, {"out_features", 4}}, "test"},
      {"head", "Linear", {{"in_features", 4}, {"out_features", 7}, {"bias", false}}, "test"}};
  ModelData model = build_declared_model(config);
  const auto number = [&](const char* name) {
    return static_cast<std::int32_t>(std::ranges::find(model.tensors, name, &ModelTensor::name) -
                                     model.tensors.begin());
  };
  const std::int32_t words = number("words.weight");
  const std::int32_t head = number("head.weight");
  EXPECT_EQ(head, static_cast<std::int32_t>(model.tensors.size()) - 1);
  for (Value& value : model.graph.values) {
    if (value.tensor == head) value.tensor = words;
  }
  model.tensors[static_cast<std::size_t>(words)].aliases = {"head.weight"};
  model.tensors.pop_back();
  return model;
}

// tied_model, whose Embedding multiplies what it looks up: by a number, or by its buffer
// `embed_scale`, the last of the tensors.
inline ModelData scaled_model(const char* type, std::optional<double> factor = {}) {
  ModelData model = tied_model();
  Graph& graph = model.graph;
  model.tree.modules[static_cast<std::size_t>(model.tree.find("words"))].type = type;
  const auto tensor = static_cast<std::int32_t>(model.tensors.size());
  model.tensors.push_back({"words.embed_scale", {}, ValueKind::kBuffer, false, at::full({}, 4.0)});
  const auto scale = static_cast<ValueId>(graph.values.size());
  graph.values.push_back({"scale", ValueKind::kBuffer, tensor, false});
  graph.values.push_back({"scaled"});
  const ValueId scaled = scale + 1;
  const auto look_up = std::ranges::find(graph.nodes, "aten::embedding", &Node::target);
  const ValueId rows = look_up->results[0].values[0];
  for (Node& node : graph.nodes) {
    for (NamedArgument& argument : node.arguments) {
      auto* value = std::get_if<ValueId>(&argument.value.value);
      if (value != nullptr && *value == rows) *value = scaled;
    }
  }
  Node product = *look_up;
  product.target = "aten::mul";
  product.overload = "Tensor";
  product.arguments = {{"self", {rows}},
                       {"other", factor ? Argument{c10::IValue(*factor)} : Argument{scale}}};
  product.results = {{false, {scaled}}};
  graph.nodes.insert(look_up + 1, std::move(product));
  return model;
}

// A small MLP with adapters on it. An adapter of one name and config starts the same in every one.
struct LoraModel {
  AdaptedModel model;
  at::Tensor input = at::linspace(-1, 1, 24).reshape({4, 6});

  explicit LoraModel(const std::vector<AdapterConfig>& adapters,
                     const std::string& dtype = "float32", bool with_head = false)
      : model(small_mlp(dtype, with_head)) {
    for (const AdapterConfig& config : adapters) add(config);
  }

  std::unique_ptr<AdapterInstance> place(const AdapterConfig& config) const {
    const InjectionPlan plan = plan_injection(model.model(), config, built_in_plugins());
    auto placed = place_adapter(model.model(), plan, std::hash<std::string>{}(config.name));
    // At the norms that DoRA's magnitudes start from, its formula is plain LoRA's.
    for (const AddedTensor& added : placed->tensors) {
      if (added.name == "lora_magnitude_vector") added.tensor.detach().mul_(1.3);
    }
    return placed;
  }
  void add(const AdapterConfig& config) { model.add_adapter(place(config)); }
  at::Tensor run() const { return model.forward({input}, {}).at(0); }
  at::Tensor run(const std::vector<std::string>& active) {
    model.set_active(active);
    return run();
  }
  at::Tensor base() const { return AdaptedModel(small_mlp()).forward({input}, {}).at(0); }
  at::Tensor weight(const std::string& name) const {
    for (const ModelTensor& tensor : model.base_tensors()) {
      if (tensor.name == name) return tensor.tensor;
    }
    return {};
  }
};

}  // namespace tenon::testing
