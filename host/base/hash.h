#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tenon {

// SHA-256 (FIPS 180-4) as 64 lower-case hexadecimal digits.
std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex(std::string_view text);

// CRC-32 as zip archives use it (polynomial 0xEDB88320, initial and final inversion).
std::uint32_t crc32(std::span<const std::byte> bytes);

}  // namespace tenon
