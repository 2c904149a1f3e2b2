#pragma once

#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

#include "adapted/adapted_model.h"
#include "adapted/parameter_count.h"
#include "app/command_line.h"
#include "config/run_config.h"
#include "operations/adapter_stages.h"
#include "plugin/plugin_registry.h"

// Steps that several verbs share, each a function from values to values.
namespace tenon {

// What an adapter adds, by the path of the layer.
using TensorsByModule = std::unordered_map<std::string, std::vector<const AddedTensor*>>;
TensorsByModule tensors_by_module(const AdapterInstance& adapter);

// "module types and shapes" of the adapted model: one line a module, adapted layers opened up.
std::string adapted_tree(const AdaptedModel& model);

}  // namespace tenon
