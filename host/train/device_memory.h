#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <optional>

namespace tenon {

struct DeviceMemory {
  std::int64_t peak = 0;   // bytes that tensors took at most
  std::int64_t total = 0;  // that the device has
};

// Of a device whose allocator counts; nothing for the CPU.
std::optional<DeviceMemory> device_memory(c10::Device device);

}  // namespace tenon
