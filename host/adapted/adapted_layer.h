#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "adapted/layer_run.h"
#include "inject/layer_adapter.h"
#include "interpreter/interpreter.h"

namespace tenon {

class AdaptedLayer;

// What the layers of one forward run (RunMode::layers).
class LayerRunner {
 public:
  LayerRunner() = default;
  LayerRunner(const LayerRunner&) = delete;
  LayerRunner& operator=(const LayerRunner&) = delete;
  virtual ~LayerRunner() = default;
  // As AdaptedLayer::run.
  virtual std::vector<c10::IValue> run(const AdaptedLayer& layer, const SubgraphProgram& subgraph,
                                       const std::vector<c10::IValue>& values,
                                       const RunMode& mode) const = 0;
  // Where a layer runs one choice for all rows, that; else nullptr.
  virtual const LayerChoice* choice(const AdaptedLayer& layer) const {
    static_cast<void>(layer);
    return nullptr;
  }
  // Every adapter's layer_adapter that the layer runs.
  virtual void visit_slots(const AdaptedLayer& layer,
                           const std::function<void(const LayerAdapter&)>& visit) const {
    if (const LayerChoice* chosen = choice(layer)) {
      for (const auto& layer_adapter : chosen->layer_adapters) visit(*layer_adapter);
    }
  }
};

// One of several layers that read the same tensor.
struct SiblingRun {
  std::shared_ptr<const AdaptedLayer> layer;
  std::shared_ptr<const SubgraphProgram> program;
};

// A layer that adapters are on. Runs may go on in several threads, whatever changes: what they run
// was chosen before. Choosing and changing must not overlap.
class AdaptedLayer {
 public:
  // By the names of their adapters.
  using Slots = std::map<std::string, std::shared_ptr<const LayerAdapter>, std::less<>>;
  // The base's weights with some adapters folded in.
  struct Merged {
    std::vector<std::string> adapters;
    std::vector<at::Tensor> weights;  // by number; undefined where the base's own is in use
  };

  // `weights`: the base's, in the order of the layer's facts.
  AdaptedLayer(ModuleId module, std::string path, std::vector<std::string> weight_names,
               std::vector<at::Tensor> weights);

  ModuleId module() const { return module_; }
  const std::string& path() const { return path_; }
  const std::vector<std::string>& weight_names() const { return weight_names_; }
  // Of the base, whatever is merged.
  const std::vector<at::Tensor>& weights() const { return weights_; }
  const Slots& layer_adapters() const { return slots_; }
  const LayerAdapter* find(const std::string& adapter) const;
  // `node` takes the place of the adapter's layer_adapter, if it holds one, and then holds what was
  // there.
  void exchange(const std::string& adapter, Slots::node_type& node) noexcept;

  // For these adapters, on top of what is merged; those that are not on this layer are skipped.
  // Throws Error{kInjection} for adapters that cannot run at once.
  LayerChoice choose(std::span<const std::string> adapters) const;
  // The base's own weights and no adapter.
  LayerChoice choose_base() const { return LayerChoice(weights_); }

  // The base's weights with these adapters folded in: computed in float32 at least, rounded once.
  // Undefined where nothing changes. Throws Error{kInjection} where a result is not finite or the
  // plugin cannot merge; changes nothing.
  std::vector<at::Tensor> merged_weights(std::span<const std::string> adapters) const;
  // What one adapter adds to each of the base's weights, in float32 at least; undefined where
  // nothing. Throws Error{kInjection} where the plugin cannot merge.
  std::vector<at::Tensor> weight_changes(const std::string& adapter) const;
  // From now on chosen beneath what is chosen; `merged` then holds what was before.
  void exchange(Merged& merged) noexcept { std::swap(merged_, merged); }
  const std::vector<std::string>& merged() const { return merged_.adapters; }
  const std::vector<at::Tensor>& merged_tensors() const { return merged_.weights; }

  // One call: `values` are the subgraph's inputs, then its numbers.
  std::vector<c10::IValue> run(const SubgraphProgram& subgraph, std::vector<c10::IValue> values,
                               const RunMode& mode) const;
  // One output for each: by one call of their plugin if all have adapters of one layer type that
  // can (tenon/ext/siblings.h), else one after the other.
  static std::vector<c10::IValue> run_siblings(std::span<const SiblingRun> runs,
                                               std::vector<c10::IValue> values,
                                               const RunMode& mode);

 private:
  void add_to(LayerChoice& choice, const std::shared_ptr<const LayerAdapter>& layer_adapter) const;

  ModuleId module_;
  std::string path_;
  std::vector<std::string> weight_names_;
  std::vector<at::Tensor> weights_;
  Slots slots_;
  Merged merged_;
};

}  // namespace tenon
