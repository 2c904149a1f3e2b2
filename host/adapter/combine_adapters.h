#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "adapter/adapter_store.h"
#include "plugin/method.h"

namespace tenon {

// PEFT's arguments of add_weighted_adapter, by its names.
struct CombineOptions {
  std::vector<double> weights;  // one for each adapter
  std::string combination_type = "svd";
  std::optional<std::int64_t> svd_rank;  // none: the largest of the adapters'
  std::optional<double> svd_clamp;
  std::optional<double> density;
  std::string majority_sign_method = "total";
  std::uint64_t seed = 0;  // of dare
};

// All combination types.
const std::vector<std::string>& combination_types();

// LoRA adapters as one whose scaling is 1, from their folders alone (PEFT: add_weighted_adapter).
// A module that one adapter saves whole goes over as it is. Throws Error{Stage::kAdapter} with
// everything that stands against it: other methods, DoRA, starts that change the base, a module
// that two save, ranks that differ where they must not, other bases.
AdapterFiles combine_adapters(const std::vector<AdapterFiles>& adapters, const MethodTable& methods,
                              const CombineOptions& options);

}  // namespace tenon
