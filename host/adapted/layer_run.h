#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "adapted/output_contract.h"
#include "inject/layer_adapter.h"
#include "interpreter/interpreter.h"

namespace tenon {

// The base of one call of a layer, ready to run alone.
struct SubgraphProgram {
  Program program;
  std::size_t n_inputs = 0;
  std::uint32_t n_outputs = 0;
  // For each tensor of the subgraph: its number among the layer's weights, or -1 with `fixed` set.
  std::vector<std::int32_t> weight_numbers;
  std::vector<at::Tensor> fixed;
  bool normalises_batch = false;  // BatchNorm, or what else looks at all rows while it trains
  std::shared_ptr<OutputContract> contract = std::make_shared<OutputContract>();
};

// What a layer runs: the weights of its base, and the adapters on top in their order. Keeps alive
// what it points to.
struct LayerChoice {
  std::vector<at::Tensor> weights;
  std::vector<tenon_tensor> weight_handles;
  const LayerType* layer_type = nullptr;  // nullptr: the base alone
  const LayerFacts* facts = nullptr;
  std::vector<const tenon_adapter*> adapters;
  std::vector<std::shared_ptr<const LayerAdapter>> layer_adapters;  // of these and of the weights
  bool is_saved_module = false;  // the weights are an adapter's own
  // The base's types where one of the weights is kept in a wider one; else empty.
  std::vector<at::ScalarType> runs_in = {};

  explicit LayerChoice(std::vector<at::Tensor> base);
  LayerChoice(LayerChoice&&) = default;
  LayerChoice& operator=(LayerChoice&&) = default;

  bool is_bare() const { return layer_type == nullptr && !is_saved_module; }
};

// The base's outputs on a call's own inputs and weights, kept for further runs on the same.
struct KeptBase {
  std::optional<std::vector<c10::IValue>> outputs;
  bool with_gradient = false;
};

// One call of a layer: everything that a plugin is given stays as long as this does, and in its
// place. Borrows what it is made from.
class LayerRun : private tenon_call_context {
 public:
  // `adapters` nullptr: those of the choice. `values` are the subgraph's inputs, then its numbers.
  LayerRun(const LayerChoice& choice, const SubgraphProgram& subgraph,
           const std::vector<c10::IValue>& values, const RunMode& mode, KeptBase* kept = nullptr,
           const std::vector<const tenon_adapter*>* adapters = nullptr);
  LayerRun(const LayerRun&) = delete;
  LayerRun& operator=(const LayerRun&) = delete;
  ~LayerRun() override = default;

  const tenon_call& call() const { return call_; }
  // By the plugin, or by the base alone where the choice has no adapter.
  std::vector<c10::IValue> outputs();
  // Throws Error{kPlugins} if they are not of the base's dimensions, types and sizes.
  void check_outputs(const char* function, std::span<const at::Tensor> outputs) const;

 private:
  using Replaced = std::span<const std::pair<std::uint32_t, at::Tensor>>;

  std::vector<at::Tensor> run_base(std::span<const tenon_tensor> inputs,
                                   Replaced replaced) override;
  std::vector<c10::IValue> run(std::span<const tenon_tensor> inputs, Replaced replaced) const;
  std::vector<c10::IValue> run(std::span<const tenon_tensor> inputs, Replaced replaced,
                               const RunMode& mode) const;
  std::vector<c10::IValue> run_own_base();
  std::vector<c10::IValue> run_base_aside() const;
  std::vector<c10::IValue> run_on_merged();
  at::Tensor weight(std::size_t i, Replaced replaced) const;

  const LayerChoice& choice_;
  const SubgraphProgram& subgraph_;
  const std::vector<c10::IValue>& values_;
  RunMode mode_;
  KeptBase* kept_;
  std::vector<at::Tensor> narrowed_;  // the choice's weights as the base's types have them
  std::vector<tenon_tensor> narrowed_handles_;
  std::vector<tenon_tensor> inputs_;
  tenon_call call_{};
};

}  // namespace tenon
