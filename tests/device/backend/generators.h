#pragma once

#include <ATen/core/Generator.h>

#include <string_view>

namespace test_device {

// One that draws what the CPU's of this seed does, but belongs to the device.
at::Generator new_generator(c10::DeviceIndex device);

// The CPU's generator inside. Throws for one of another device, as a GPU's operators do.
at::Generator generator_on_host(const at::Generator& generator, std::string_view op);

}  // namespace test_device
