#pragma once

#include <map>
#include <string>

#include "adapter/adapter_store.h"
#include "adapter/factor_pairs.h"
#include "inject/adapter_init.h"

// Adapters whose start changed the base, W - s B0 A0, as ones for the base as it was: twice
// the rank, and exactly W + s (B A - B0 A0) (PEFT: save_pretrained with
// path_initial_model_for_weight_conversion).
namespace tenon {

// `starts`: A0 and B0 by the layer's path.
AdapterFiles as_plain_factors(AdapterFiles files, const Method& method,
                              const std::map<std::string, FactorPair>& starts);

// Those of layers that were given another base to start from.
std::map<std::string, FactorPair> starts_beside_the_base(const GivenStarts& given,
                                                         const Factors& factors);

}  // namespace tenon
