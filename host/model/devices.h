#pragma once

#include <c10/core/Device.h>

#include <string>

#include "config/run_config.h"

namespace tenon {

// The device that [model] device names, with its number. For "cuda" LibTorch's code for GPUs is
// loaded here, and so before anything else of LibTorch is used: it would have settled by then that
// there is none. Throws Error{kModel} with what is missing and what to install.
c10::Device require_device(const ModelConfig& config);

// "cuda:0 and cuda:1", "none".
std::string devices_text(c10::DeviceType type);

}  // namespace tenon
