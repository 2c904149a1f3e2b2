#pragma once

#include "config/run_config.h"
#include "graph/graph.h"

namespace tenon {

// The [model] section as a model: an exported program or declared layers, then `weights`, on the
// CPU whatever the device. Throws Error{kModel} or Error{kConfig}.
ModelData load_model(const ModelConfig& config);

// Copies a safetensors file into the model's parameters and persistent buffers by their state_dict
// names; packed weights (packed_file.h) stay in its mapping. Missing, unexpected and mis-shaped
// tensors are all listed at once; nothing is copied then.
void load_weights(ModelData& model, const std::filesystem::path& file);

}  // namespace tenon
