#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "graph/graph.h"

namespace tenon {

// A model to try a layer type on, small enough that everything can be tried in a second.
struct TrialBase {
  ModelData model;
  std::string layer;  // path of the layer to adapt
  std::vector<at::Tensor> inputs;

  // The same in another floating type; integers stay.
  TrialBase to(at::ScalarType dtype) const;
  // Other inputs of the same shapes, from a seed.
  std::vector<at::Tensor> draw_inputs(std::uint64_t seed) const;
};

// A layer type is tried on small layers, and where it refuses those (its blocks do not divide their
// sizes) on wide ones, whose sizes are powers of two.
enum class TrialSize { kSmall, kWide };

// Whether there is a trial for the type: one that a config can declare, as in configs/README.md.
bool can_declare_trial(const std::string& type);
// Its [[model.layers]] entry; nullopt for other types.
std::optional<DeclaredLayer> declared_trial_layer(const std::string& type,
                                                  TrialSize size = TrialSize::kSmall);
// One layer of such a type; nullopt for others.
std::optional<TrialBase> declare_trial(const std::string& type, TrialSize size = TrialSize::kSmall);

// The layer of an exported program, cut out of it: the operators that it runs, on the tensors that
// reach it when the program runs on random inputs. Throws Error{kModel, kInjection}.
TrialBase cut_trial(const std::filesystem::path& program, const std::string& layer);

}  // namespace tenon
