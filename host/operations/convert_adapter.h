#pragma once

#include <cstdint>
#include <optional>

#include "adapted/adapted_model.h"
#include "adapter/adapter_store.h"
#include "plugin/plugin_registry.h"

namespace tenon {

// The rank of every layer (PEFT: rank, a whole number), or the share of each layer's squared
// singular values that its own rank must hold (PEFT: rank, a float).
struct ConvertRank {
  std::optional<std::int64_t> rank = {};
  double energy = 1;
};

// The one adapter of `model`, whatever its method, as one of the method that others are converted
// to: what it adds to each weight, cut to a rank by its singular values (PEFT:
// its conversion). `files` is where it came from. Throws Error{Stage::kAdapter} with every layer
// that two factors cannot stand for.
AdapterFiles convert_to_factors(const AdaptedModel& model, const AdapterFiles& files,
                                const MethodTable& methods, const ConvertRank& rank);

// An adapter with factors whose start changed the base as one for the base as it was (see
// plain_factors.h), the start made again from the base. Its config has all keys (with_method).
AdapterFiles plain_adapter(const ModelData& model, const AdapterFiles& files,
                           const PluginRegistry& plugins);

}  // namespace tenon
