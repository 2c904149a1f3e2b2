#pragma once

#include <map>
#include <string>
#include <vector>

#include "adapter/adapter_store.h"
#include "adapter/factor_pairs.h"
#include "plugin/method.h"

// Layers of an adapter's file that ensure_weight_tying ties: each has tensors of its own there,
// with the same values. Between an Embedding and a Linear, A is the other's B^T and B the other's
// A^T.
namespace tenon {

SavedTies saved_ties(const std::vector<AdapterTensor>& tensors, const Factors& factors);

// Sets the config's saved_ties, where it ties and its method has factors.
void note_ties(AdapterFiles& files, const MethodTable& methods);

// By path of each layer that adapters to combine hold tied: the layer whose factors it has.
// `pairs`: each adapter's. Ties that not all of them have, or that scale differently, go to
// `problems`.
std::map<std::string, std::string> common_ties(
    const std::vector<AdapterFiles>& adapters,
    const std::vector<std::map<std::string, FactorPair>>& pairs, const Factors& factors,
    std::vector<std::string>& problems);

// A layer's factors, given those of the layer that it is tied to: the factors of `owner` as they
// are or across.
struct FactorMatrices {
  at::Tensor a;
  at::Tensor b;
};
FactorMatrices tied_factors(const FactorMatrices& owner, bool across);

}  // namespace tenon
