#pragma once

#include <c10/core/Device.h>

#include "graph/graph.h"

namespace tenon {

// Lets the model run on `device`: its tensors are copied there, and what the graph makes itself is
// made there, whatever device the export wrote down (`torch.arange(n, device=x.device)`, autocast,
// `zeros` of a captured model, which names none).
void move_to_device(ModelData& model, c10::Device device);

}  // namespace tenon
