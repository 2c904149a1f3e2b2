#pragma once

#include <string>
#include <vector>

#include "graph/subgraph.h"

// What a module of any class still is, seen from the operators that it runs.
namespace tenon {

constexpr const char* kEmbeddingType = "torch.nn.Embedding";

// "torch.nn.Linear" if each of a module's calls is that layer's one operator, with the module's own
// `weight` for its weight: a subclass that a plugin for the layer can adapt. "" otherwise.
std::string layer_kind(const ModelData& model, const std::vector<Subgraph>& calls);

// Whether each of a module's calls looks rows of its own `weight` up and multiplies them by one
// number: its buffer `embed_scale`, or a constant where the class is one of transformers'
// ...ScaledWordEmbedding. (PEFT: _get_embed_scale; of another class it knows no factor.)
bool is_scaled_embedding(const ModelData& model, const std::vector<Subgraph>& calls);

// Whether a call runs aten::linear on the module's own `weight`, whatever else it does.
bool multiplies_by_its_weight(const ModelData& model, const std::vector<Subgraph>& calls);

// Throws Error{kInjection} for `layer` ("acme.Normed at `head`") if it computes a weight anew in
// each forward, from parameters of these names (weight_norm, spectral_norm, pruning,
// torch.nn.utils.parametrize).
void refuse_computed_weight(const std::string& layer, const std::vector<std::string>& parameters);

// Whether the module is the out_proj of a MultiheadAttention, which uses its weight and never calls
// it. (Captured from C++ the product with that weight is seen as the module's own.)
bool is_run_by_attention(const ModelData& model, ModuleId id);

}  // namespace tenon
