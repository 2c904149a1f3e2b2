#pragma once

#include "config/adapter_config.h"
#include "inject/placed_adapter.h"
#include "model/graph.h"

namespace tenon {

// The config that an adapter's file has, in words from which PEFT makes the same adapter where it
// reads the user's own otherwise.
AdapterConfig config_for_peft(const ModelData& model, const PlacedAdapter& adapter);

}  // namespace tenon
