#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>

#include "base/error.h"

namespace tenon {

// Whether a failure is that of an allocator, LibTorch's or a device's. By its text: on its way
// through a plugin it keeps no more.
bool is_out_of_memory(const std::string& text);

// The same failure with what one needs to know: how much the device has and had to hold at most,
// the batch, and what would make it fit.
Error out_of_memory(const Error& failure, c10::Device device, std::int64_t rows);

}  // namespace tenon
