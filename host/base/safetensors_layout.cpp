#include "base/safetensors_layout.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/safetensors.h"

namespace tenon {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor bytes are used as they are");

struct DtypeInfo {
  std::string_view name;
  std::size_t item_size;
};

// In the library's order.
constexpr std::array kDtypes = std::to_array<DtypeInfo>({{"U64", 8},
                                                         {"I64", 8},
                                                         {"F64", 8},
                                                         {"C64", 8},
                                                         {"F32", 4},
                                                         {"U32", 4},
                                                         {"I32", 4},
                                                         {"BF16", 2},
                                                         {"F16", 2},
                                                         {"U16", 2},
                                                         {"I16", 2},
                                                         {"F8_E5M2FNUZ", 1},
                                                         {"F8_E4M3FNUZ", 1},
                                                         {"F8_E8M0", 1},
                                                         {"F8_E4M3", 1},
                                                         {"F8_E5M2", 1},
                                                         {"I8", 1},
                                                         {"U8", 1},
                                                         {"BOOL", 1}});

}  // namespace

std::size_t safetensors_rank(std::string_view dtype) {
  const auto* found = std::find_if(kDtypes.begin(), kDtypes.end(),
                                   [&](const DtypeInfo& info) { return info.name == dtype; });
  return static_cast<std::size_t>(found - kDtypes.begin());
}

std::size_t safetensors_item_size(std::string_view dtype) {
  const std::size_t rank = safetensors_rank(dtype);
  return rank == kDtypes.size() ? 0 : kDtypes[rank].item_size;
}

std::optional<std::uint64_t> tensor_byte_count(const std::vector<std::int64_t>& shape,
                                               std::size_t item_size) {
  constexpr auto kMost = static_cast<std::uint64_t>(INT64_MAX);
  std::uint64_t bytes = item_size;
  bool empty = false;
  for (const std::int64_t dimension : shape) {
    empty = empty || dimension == 0;
    const auto factor = static_cast<std::uint64_t>(std::max<std::int64_t>(dimension, 1));
    if (bytes > kMost / factor) return std::nullopt;
    bytes *= factor;
  }
  return empty ? 0 : bytes;
}

}  // namespace tenon
