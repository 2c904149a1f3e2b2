#pragma once

#include <cstdint>
#include <string>

namespace tenon {

// The address of this machine by which those that can reach `host` reach it too; "" where it has
// none but its loopback.
std::string address_towards(const std::string& host, std::uint16_t port);

}  // namespace tenon
