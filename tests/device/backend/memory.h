#pragma once

#include <cstddef>

// Memory of the test's device. An address of it can be read by nobody; `on_host` gives the one
// where the same bytes are.
namespace test_device {

// 64 bytes aligned; nullptr for no bytes. Throws c10::OutOfMemoryError beyond the device's memory.
void* allocate(std::size_t bytes);
void release(void* address);

bool is_device_address(const void* address);
void* on_host(const void* address);

std::size_t allocated_bytes();
std::size_t peak_bytes();
std::size_t total_bytes();

}  // namespace test_device
