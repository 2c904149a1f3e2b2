#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "inject/adapter_slot.h"
#include "inject/layer_run.h"
#include "model/interpreter.h"

namespace tenon {

class AdaptedLayer;

// Runs the layers of one forward otherwise than with what is active on them (RunMode::layers).
class LayerRunner {
 public:
  LayerRunner() = default;
  LayerRunner(const LayerRunner&) = delete;
  LayerRunner& operator=(const LayerRunner&) = delete;
  virtual ~LayerRunner() = default;
  // As AdaptedLayer::run.
  virtual std::vector<c10::IValue> run(const AdaptedLayer& layer, const RegionProgram& region,
                                       const std::vector<c10::IValue>& values,
                                       const RunMode& mode) const = 0;
};

// One of several layers that read the same tensor.
struct SiblingRun {
  const AdaptedLayer* layer = nullptr;
  std::shared_ptr<const RegionProgram> program;
};

// A layer that adapters are on. Runs are const and may go on in several threads; what changes the
// layer must not overlap them.
class AdaptedLayer {
 public:
  // `weights`: the base's, in the order of the layer's facts.
  AdaptedLayer(std::string path, std::vector<std::string> weight_names,
               std::vector<at::Tensor> weights);

  const std::string& path() const { return path_; }
  const std::vector<std::string>& weight_names() const { return weight_names_; }
  // Of the base, whatever is merged.
  const std::vector<at::Tensor>& weights() const { return weights_; }
  const std::vector<AdapterSlot*>& slots() const { return slots_; }
  const AdapterSlot* find(const std::string& adapter) const;
  void put(AdapterSlot& slot) { slots_.push_back(&slot); }
  void remove(const AdapterSlot& slot);

  // For these adapters, on top of what is merged; those that are not on this layer are skipped.
  // Throws Error{kInjection} for adapters that cannot run at once.
  LayerChoice choose(std::span<const std::string> adapters) const;
  // The base's own weights and no adapter.
  LayerChoice choose_base() const { return LayerChoice(weights_); }
  void activate(LayerChoice choice) { active_ = std::move(choice); }

  // The base's weights with these adapters folded in: computed in float32 at least, rounded once.
  // Undefined where nothing changes. Throws Error{kInjection} where a result is not finite or the
  // plugin cannot merge; changes nothing.
  std::vector<at::Tensor> merged_weights(std::span<const std::string> adapters) const;
  // What one adapter adds to each of the base's weights, in float32 at least; undefined where
  // nothing. Throws Error{kInjection} where the plugin cannot merge.
  std::vector<at::Tensor> weight_changes(const std::string& adapter) const;
  // From now on `adapters` are in the weights.
  void set_merged(std::vector<std::string> adapters, std::vector<at::Tensor> weights);
  const std::vector<std::string>& merged() const { return merged_; }
  // By number; undefined where the base's own is in use.
  const std::vector<at::Tensor>& merged_tensors() const { return merged_tensors_; }

  // One call: `values` are the region's inputs, then its numbers.
  std::vector<c10::IValue> run(const RegionProgram& region, std::vector<c10::IValue> values,
                               const RunMode& mode) const;
  // One output for each: by one call of their plugin if all have adapters of one layer type that
  // can (tenon/ext/siblings.h), else one after the other.
  static std::vector<c10::IValue> run_siblings(std::span<const SiblingRun> runs,
                                               std::vector<c10::IValue> values,
                                               const RunMode& mode);

 private:
  void add_to(LayerChoice& choice, const AdapterSlot& slot) const;

  std::string path_;
  std::vector<std::string> weight_names_;
  std::vector<at::Tensor> weights_;
  std::vector<AdapterSlot*> slots_;
  std::vector<std::string> merged_;
  std::vector<at::Tensor> merged_tensors_;
  LayerChoice active_;
};

}  // namespace tenon
