#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "model/gpu_facts.h"

namespace tenon {

// What `doctor` tells of GPUs: each one, LibTorch's and the driver's versions, and what is wrong.
nlohmann::ordered_json gpus_json(const GpuFacts& facts);
std::string gpus_text(const GpuFacts& facts);

}  // namespace tenon
