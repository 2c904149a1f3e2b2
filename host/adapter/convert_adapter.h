#pragma once

#include <cstdint>
#include <optional>

#include "adapter/adapter_store.h"
#include "inject/adapted_model.h"
#include "plugin/plugin_registry.h"

namespace tenon {

// The rank of every layer (PEFT: rank, a whole number), or the share of each layer's squared
// singular values that its own rank must hold (PEFT: rank, a float).
struct ConvertRank {
  std::optional<std::int64_t> rank;
  double energy = 1;
};

// The one adapter of `model`, whatever its method, as LoRA: what it adds to each weight, cut to a
// rank by its singular values (PEFT: convert_to_lora). `files` is where it came from, `factors` are
// those of method lora. Throws
// Error{Stage::kAdapter} with every layer that LoRA's two factors cannot stand for.
AdapterFiles convert_to_lora(const AdaptedModel& model, const AdapterFiles& files,
                             const Factors& factors, const ConvertRank& rank);

// A LoRA adapter whose start changed the base (PiSSA, OLoRA) as one for the base as it was (see
// plain_factors.h), the start made again from the base.
AdapterFiles plain_adapter(const ModelData& model, const AdapterFiles& files,
                           const PluginRegistry& plugins);

}  // namespace tenon
