#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

// The processor's own instructions for the hashes of hash.h, several times as fast. Of other
// processors, and of those without the instructions, nothing is done here.
namespace tenon {

// How many whole blocks of 64 bytes, from the start of `bytes`, went into the digest.
std::size_t sha256_blocks_x86(std::span<std::uint32_t, 8> digest, std::span<const std::byte> bytes,
                              std::span<const std::uint32_t, 64> round_constants);

// How many bytes, from the start of `bytes`, went into the CRC-32 (not inverted).
std::size_t crc32_x86(std::uint32_t& crc, std::span<const std::byte> bytes);

}  // namespace tenon
