#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

// What the reader and the writer of safetensors files share.
namespace tenon {

constexpr std::size_t kLengthBytes = 8;
constexpr std::string_view kMetadataKey = "__metadata__";

// Where a dtype stands in the order in which Hugging Face's library lays out tensors.
std::size_t safetensors_rank(std::string_view dtype);

// Bytes of a tensor, nullopt if they do not fit into 63 bits. Dimensions of 0 count as 1 for that
// test, since LibTorch computes strides that way.
std::optional<std::uint64_t> tensor_byte_count(const std::vector<std::int64_t>& shape,
                                               std::size_t item_size);

}  // namespace tenon
