#pragma once

#include <string>
#include <vector>

#include "plan/injection_plan.h"
#include "plan/layer_planner.h"

namespace tenon {

// The method whose plugin trains rows.
constexpr const char* kTokenMethod = "trainable_tokens";

// The embedding that looks up what the model's caller gives; kNoModule if there is none.
ModuleId input_embedding(const ModelData& model);

// The path by which a file knows an embedding whose rows are trained: that of the module which
// holds the table for others and never runs itself, such as T5's `shared`, where it is meant (PEFT:
// get_input_embeddings).
std::string rows_in_file(const ModelData& model, const AdapterConfig& config, ModuleId embedding);

// The layers of trainable_token_indices (PEFT: set_additional_trainable_modules), appended to the
// plan's. An output layer that is tied to the input embedding reads the same rows. What is wrong
// goes to `problems`.
void plan_token_rows(const ModelData& model, const LayerPlanner& planner,
                     const PluginRegistry& plugins, InjectionPlan& plan,
                     std::vector<std::string>& problems);

}  // namespace tenon
