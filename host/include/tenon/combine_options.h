// How adapters become one. Included by <tenon/adapt.h>.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tenon {

// PEFT's arguments of add_weighted_adapter, by its names.
struct CombineOptions {
  std::vector<double> weights;  // one for each adapter
  std::string combination_type = "svd";
  std::optional<std::int64_t> svd_rank = std::nullopt;  // none: the largest of the adapters'
  std::optional<double> svd_clamp = std::nullopt;
  std::optional<double> density = std::nullopt;
  std::string majority_sign_method = "total";
  std::uint64_t seed = 0;  // of dare
};

}  // namespace tenon
