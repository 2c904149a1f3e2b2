#pragma once

#include <optional>
#include <string>

#include "adapter/adapter_store.h"
#include "app/command_line.h"
#include "config/run_config.h"
#include "inject/adapted_model.h"
#include "train/trainer.h"

// Steps that several verbs share, each a function from values to values.
namespace tenon {

// With init_from, keys that the config leaves out come from that folder. Throws Error{kConfig} if a
// given key that scales the adapter differs from the folder's.
AdapterConfig effective_adapter_config(const AdapterConfig& config);

// The tensors of the model that an adapter's file holds, by key.
std::vector<AdapterTensor> adapter_tensors(const AdaptedModel& model);

// Everything that goes into the adapter's folder.
AdapterFiles adapter_files(const AdaptedModel& model, const InjectionPlan& plan);

// "module types and shapes" of the adapted model: one line a module, adapted layers opened up.
std::string adapted_tree(const AdaptedModel& model, const InjectionPlan& plan);

}  // namespace tenon
