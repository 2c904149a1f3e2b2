#pragma once

#include <optional>
#include <string>

#include "adapted/adapted_model.h"
#include "app/command_line.h"
#include "plugin/plugin_registry.h"

namespace tenon {

// What a training will have in memory at its peak, in bytes.
struct MemoryEstimate {
  double base = 0;         // the model's own tensors
  double adapters = 0;     // what is trained
  double gradients = 0;    // of it
  double moments = 0;      // the optimizer's, and the copy of the last good state
  double activations = 0;  // of one batch: what the gradient needs, and what comes and goes
  double others = 0;       // the program, its libraries, the data that are read
  double total() const { return base + adapters + gradients + moments + activations + others; }
};

// Runs a few rows forward and back, and reckons from them what [train] batch_size takes. Nothing
// where the config does not say what to train on, or that cannot be tried (`why`).
std::optional<MemoryEstimate> estimate_memory(const CommandLine& line, AdaptedModel& model,
                                              const PluginRegistry& plugins, std::string& why);

// "about 512 MB of memory: base 90, ...".
std::string memory_text(const MemoryEstimate& estimate);

}  // namespace tenon
