#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "inject/adapter_init.h"
#include "inject/layer_adapter.h"
#include "plan/injection_plan.h"

namespace tenon {

// A tensor that an adapter adds: a layer's parameter or the copy of a module to save.
struct AddedTensor {
  std::string module;  // path of the layer or the module to save; "" if layers share it
  std::string name;    // behind the path: "ia3_l", "weight"
  at::Tensor tensor;
  bool trainable = true;
  bool is_buffer = false;  // of a module to save: running statistics
  // Runs in the place of a parameter of the base, so it counts once with that one.
  bool replaces_base = false;
  bool is_saved = true;                           // else it is made again on loading
  std::string file_module = {};                   // its module in a file, where that is another
  std::optional<at::ScalarType> file_dtype = {};  // in a file, where it is trained in a wider one
  std::string key() const {
    const std::string& path = file_module.empty() ? module : file_module;
    return name.empty() ? path : path + "." + name;
  }
};

// Where a layer_adapter goes: a layer of the model and how it is found in the graph.
struct CallSite {
  ModuleId module = kNoModule;
  std::vector<std::int32_t> tensors;  // of ModelData::tensors: the layer's weights, in model order
  std::vector<Subgraph> subgraphs;
};

struct PlacedLayerAdapter {
  CallSite site;
  std::shared_ptr<const LayerAdapter> layer_adapter;
};

// An adapter with all its tensors, made for one model and ready to be put on it.
struct AdapterInstance {
  AdapterConfig config;
  const Method* method = nullptr;
  std::vector<PlannedLayer> layers;  // what was planned, for records and listings
  std::vector<std::string> saved;    // paths of the modules that it saves whole
  std::vector<PlacedLayerAdapter> layer_adapters;
  std::vector<AddedTensor> tensors;  // in the order of the plan
  double scale = 1;                  // on top of what it was made with
  // What its file has for modules on which it does nothing, by key; for the file again.
  std::vector<std::pair<std::string, at::Tensor>> kept = {};
  GivenStarts given;  // starts that took their part out of the base, for its export

  bool has_shared(const std::string& key) const;
  void set_requires_grad(bool on);
  // Its layer_adapters with their terms `factor` times what they were made with, in the order of
  // `layer_adapters`.
  std::vector<std::shared_ptr<const LayerAdapter>> rescaled(double factor) const;
};

// Allocates an adapter's parameters and starts them from `seed`, or as `given`. Nothing of the
// model changes.
std::unique_ptr<AdapterInstance> place_adapter(const ModelData& model, const InjectionPlan& plan,
                                               std::uint64_t seed, GivenStarts given = {});

// The same for an adapter whose file is read next: what that holds is zero until then.
std::unique_ptr<AdapterInstance> place_saved_adapter(const ModelData& model,
                                                     const InjectionPlan& plan);

}  // namespace tenon
