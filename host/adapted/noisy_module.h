#pragma once

#include <vector>

#include "adapted/folded_module.h"
#include "graph/graph.h"

namespace tenon {

// A module to whose output training forwards add noise. Of an output [B, L, d] each number gets one
// of its own, uniform between -m and m with m = alpha / sqrt(L * d): NEFTune (arXiv:2310.05914),
// with the numbers of transformers' neftune_post_forward_hook from the same generator.
struct NoisyModule {
  ModuleId module = kNoModule;
  double alpha = 0;
};

// Folds each of the module's calls, layers included, into one that adds the noise. Throws
// Error{kInjection} where it does not run as a whole or gives more than one tensor.
std::vector<LayerReplacement> add_noise(const ModelData& model,
                                        std::vector<LayerReplacement> replacements,
                                        const NoisyModule& noisy);

}  // namespace tenon
