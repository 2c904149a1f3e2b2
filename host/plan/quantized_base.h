#pragma once

#include <string>
#include <vector>

#include "config/run_config.h"
#include "graph/graph.h"

namespace tenon {

// Puts packed tensors in the place of the weights that [model] quantize means: by quantize_modules,
// else of every linear layer, but the output layer, what the adapters train whole and what is tied
// to a weight that stays as it is. One weight at a time, whose memory is given back before the
// next. The checksums stay those of the originals, so that the base keeps its fingerprint. Returns
// what is worth saying; throws Error{kInjection} with all that the rules name and cannot be had.
std::vector<std::string> quantize_base(ModelData& model, const ModelConfig& config,
                                       const std::vector<AdapterConfig>& adapters);

}  // namespace tenon
