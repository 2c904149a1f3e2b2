#pragma once

#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

#include "adapter/adapter_stages.h"
#include "app/command_line.h"
#include "config/run_config.h"
#include "inject/adapted_model.h"
#include "inject/parameter_count.h"
#include "plugin/plugin_registry.h"

// Steps that several verbs share, each a function from values to values.
namespace tenon {

// What an adapter adds, by the path of the layer.
using TensorsByModule = std::unordered_map<std::string, std::vector<const AddedTensor*>>;
TensorsByModule tensors_by_module(const PlacedAdapter& adapter);

// "module types and shapes" of the adapted model: one line a module, adapted layers opened up.
std::string adapted_tree(const AdaptedModel& model);

}  // namespace tenon
