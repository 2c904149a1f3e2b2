#pragma once

#include <c10/core/Device.h>

#include "graph/graph.h"

namespace tenon {

// Devices that the export wrote into the graph (`torch.arange(n, device=x.device)`, autocast)
// become the one that the model runs on, nested graphs included.
void follow_device(Graph& graph, c10::Device device);

}  // namespace tenon
