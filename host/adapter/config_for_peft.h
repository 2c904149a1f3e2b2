#pragma once

#include "config/adapter_config.h"
#include "graph/graph.h"
#include "inject/adapter_instance.h"

namespace tenon {

// The config that an adapter's file has, in words from which PEFT makes the same adapter where it
// reads the user's own otherwise.
AdapterConfig config_for_peft(const ModelData& model, const AdapterInstance& adapter);

}  // namespace tenon
