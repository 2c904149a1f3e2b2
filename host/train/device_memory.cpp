#include "train/device_memory.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>

namespace tenon {

std::optional<DeviceMemory> device_memory(c10::Device device) {
  if (device.is_cpu()) return std::nullopt;
  try {
    c10::DeviceAllocator* const allocator = c10::getDeviceAllocator(device.type());
    constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    return DeviceMemory{allocator->getDeviceStats(device.index()).allocated_bytes[kAll].peak,
                        static_cast<std::int64_t>(allocator->getMemoryInfo(device.index()).second)};
  } catch (const c10::Error&) {  // one that does not count
    return std::nullopt;
  }
}

}  // namespace tenon
