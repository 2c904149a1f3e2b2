#pragma once

#include <string_view>

namespace test_device {

// Counts what the host waits for, or copies, beside the device's own work: a line in the file that
// TENON_TEST_DEVICE_LOG names, if it is set. "wait ..." stops the host until the device is done,
// "upload ..." does not where it is from pinned memory.
void note(std::string_view what, std::string_view op);

}  // namespace test_device
