#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "adapter/adapter_store.h"
#include "graph/graph.h"

// The weights of the base that PEFT writes beside an adapter whose target_modules name
// `embed_tokens` or `lm_head` (save_embedding_layers = "auto"):
// "model.embed_tokens.base_layer.weight".
namespace tenon {

// Takes them out of an adapter's tensors: of layers that have factors there.
std::vector<AdapterTensor> take_base_weights(std::vector<AdapterTensor>& tensors);

// PEFT loads them over the base's. Throws Error{Stage::kAdapter}, with all of them, where they are
// not what the base has.
void check_base_weights(const AdapterFiles& files, std::span<const ModelTensor> base,
                        const std::filesystem::path& folder);

}  // namespace tenon
