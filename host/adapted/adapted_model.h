#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "adapted/active_layers.h"
#include "adapted/adapted_layer.h"
#include "adapted/noisy_module.h"
#include "adapted/row_layout.h"
#include "inject/adapter_instance.h"
#include "interpreter/interpreter.h"

namespace tenon {

// A tensor that merging changed, under the name that the layer knows it by.
struct MergedTensor {
  std::string name;     // state_dict name: "seq.0.weight"
  std::int32_t tensor;  // of ModelData::tensors: the original
  at::Tensor merged;
  // Of Graph::nodes: those that read it instead of the original. None for what no operator reads,
  // such as a saved module's counter of batches.
  std::vector<std::int32_t> readers;
};

// A model that is ready to run: the frozen base, and the adapters on it. Without any it is the bare
// base. The base's own tensors never change: merging keeps the merged ones beside them.
//
// Forwards may run in several threads, also while another changes adapters: each runs with what was
// there when it began, which stays alive until it ends. Changes must not overlap each other, nor
// what is asked for beside forwards. Every change is whole or not at all: after an exception the
// model is as it was.
class AdaptedModel {
 public:
  explicit AdaptedModel(ModelData model);
  // With its first adapter, active and trainable.
  AdaptedModel(ModelData model, const InjectionPlan& plan, std::uint64_t seed);

  // Flattened tensor outputs. Inputs are checked first. Of what is active, unless `mode` says what
  // the layers run.
  std::vector<at::Tensor> forward(const std::vector<at::Tensor>& inputs, const RunMode& mode) const;
  // With these adapters, whatever is active; none: the base alone.
  std::vector<at::Tensor> forward_with(const std::vector<at::Tensor>& inputs,
                                       const std::vector<std::string>& adapters,
                                       const RunMode& mode) const;
  // A batch of mixed rows (PEFT: adapter_names): row i of the inputs runs with adapters[i] alone,
  // or with none for "__base__", whatever is active. The base runs once for all. Where an adapter
  // is on a layer whose rows cannot be told apart, an Error{kInjection}.
  std::vector<at::Tensor> forward_rows(const std::vector<at::Tensor>& inputs,
                                       const std::vector<std::string>& adapters,
                                       const RunMode& mode) const;
  // What forward_rows demands of them.
  void check_rows(const std::vector<at::Tensor>& inputs,
                  const std::vector<std::string>& adapters) const;

  // The base, as it was read.
  const ModelData& model() const { return model_; }
  std::span<const ModelTensor> base_tensors() const { return model_.tensors; }
  // Trains every parameter of the base itself ([train] full).
  void train_base();
  // From now on training forwards keep only what goes into these modules, and their gradients run
  // them once more ([train] checkpoint).
  void checkpoint(const ModuleRule& modules);
  // From now on training forwards add noise to what this module gives ([train]
  // neftune_noise_alpha); none: they do not.
  void add_noise(const std::optional<NoisyModule>& noisy);
  // What an optimizer works on: the base's and the adapters' tensors that require a gradient.
  std::vector<at::Tensor> trainable() const;
  // What a training forward writes by itself: running statistics.
  std::vector<at::Tensor> buffers() const;

  // The first adapter becomes active and trainable; a later one is neither until set_active
  // (PEFT: add_adapter). Its name must be new.
  void add_adapter(const InjectionPlan& plan, std::uint64_t seed);
  void add_adapter(std::unique_ptr<AdapterInstance> adapter);
  // Hot swap: puts `adapter` in the place of the one of its name and gives that one back; activity,
  // trainability and scale stay. Ranks may differ. Nothing is rebuilt, unless the new one is on
  // layers that no adapter has been on.
  std::unique_ptr<AdapterInstance> swap_adapter(std::unique_ptr<AdapterInstance> adapter);
  void exchange_adapter(std::unique_ptr<AdapterInstance>& adapter);
  // If it was active alone, the first of the others in alphabetical order becomes active.
  void delete_adapter(const std::string& name);
  // Of layers that other adapters of the plan's layer types are on, `plan` then holds the facts
  // that those hold: a thousand adapters keep them once.
  void share_facts(InjectionPlan& plan) const;
  std::vector<std::string> adapter_names() const;  // in the order they were added
  const AdapterInstance& adapter(const std::string& name) const;
  const AdapterInstance& adapter() const { return *adapters_.front(); }  // the first
  bool has_adapters() const { return !adapters_.empty(); }

  // These run from now on, summed in this order, and are trainable if `trainable`; all others are
  // neither. Unmerges first if something is merged. None: the base alone.
  void set_active(const std::vector<std::string>& names, bool trainable = true);
  const std::vector<std::string>& active() const { return active_; }
  // Whether it is active or not.
  void set_trainable(const std::string& name, bool trainable);
  // Switched off, the base runs as if nothing had ever been added or merged.
  void set_enabled(bool enabled);
  bool enabled() const { return enabled_; }
  // The adapter's term, `factor` times what it was made with.
  void rescale(const std::string& name, double factor);

  // Folds adapters into the weights, beside what is merged already; nothing changes if a merged
  // weight is not finite. A merged layer runs its base without any plugin call.
  void merge(const std::vector<std::string>& names);
  // The originals again, bit for bit.
  void unmerge();
  const std::vector<std::string>& merged() const { return merged_; }
  std::vector<MergedTensor> merged_tensors() const;
  // What merging these adapters would make of each tensor, one layer's at a time, so that beside
  // the base little memory is needed; the readers are left out, and nothing is changed. Throws
  // Error{kInjection} where one cannot be merged.
  void visit_merged(const std::vector<std::string>& names,
                    const std::function<void(const MergedTensor&)>& visit) const;
  // Of those merged, which one operator or more reads as it was: "`embedding.weight`, which aten::t
  // reads too".
  std::vector<std::string> merged_but_shared() const;

  std::vector<const AdaptedLayer*> layers() const;  // in model order

 private:
  struct Site {
    std::shared_ptr<AdaptedLayer> layer;
    std::vector<std::int32_t> tensors;
    std::vector<Subgraph> subgraphs;
    std::vector<std::shared_ptr<const SubgraphProgram>> programs;  // one for each subgraph
  };
  using Sites = std::map<ModuleId, Site>;
  using Adapters = std::vector<std::unique_ptr<AdapterInstance>>;
  // What a forward begins with. Never changed, only put in the place of another.
  struct Running {
    std::shared_ptr<const Program> program;
    std::shared_ptr<RowLayouts> row_layouts;  // of the program
    std::shared_ptr<const ActiveLayers> layers;
  };
  // A layer_adapter of an adapter that comes, or an empty place for one that goes. Exchanging twice
  // changes nothing.
  struct SlotPlace {
    std::shared_ptr<AdaptedLayer> layer;
    AdaptedLayer::Slots::node_type node;
  };
  using SlotPlaces = std::vector<SlotPlace>;

  Adapters::iterator find_adapter(const std::string& name);
  Adapters::const_iterator find_adapter(const std::string& name) const;
  void require(const std::vector<std::string>& names) const;
  void check_sites(const AdapterInstance& adapter) const;
  void check_bias(const AdapterInstance& adapter) const;
  void check_saved(const std::vector<std::string>& names) const;
  void check_count(const std::vector<std::string>& names) const;
  std::string merged_name(const Site& site, std::size_t weight) const;
  std::vector<MergedTensor> saved_tensors(const std::vector<std::string>& names,
                                          std::set<std::int32_t> met) const;
  Sites new_sites(const AdapterInstance& adapter) const;
  Site open_site(const CallSite& wanted) const;
  SlotPlaces slot_places(const AdapterInstance* before, const AdapterInstance* after,
                         const Sites& opened) const;
  static void exchange(SlotPlaces& places, const std::string& adapter) noexcept;
  Running build(const std::vector<const Site*>& sites) const;
  Running build(const std::vector<const Site*>& sites, const std::vector<ModuleId>& checkpointed,
                const std::optional<NoisyModule>& noisy) const;
  std::vector<const Site*> sites_with(const Sites& opened) const;
  std::vector<const Site*> sites_without(const AdapterInstance& adapter) const;
  Running running() const;
  std::vector<at::Tensor> run(const Program& program, const std::vector<at::Tensor>& inputs,
                              const RunMode& mode) const;
  void merge_as_one(const std::vector<std::string>& names,
                    std::vector<std::vector<at::Tensor>>& weights) const;
  std::shared_ptr<const ActiveLayers> choose(const std::vector<const Site*>& sites,
                                             const std::vector<std::string>& names) const;
  std::shared_ptr<const ActiveLayers> choose(const std::vector<std::string>& names) const;
  void change_merged(std::vector<std::string> names, std::vector<std::vector<at::Tensor>> weights,
                     std::vector<std::string> active);

  ModelData model_;
  Sites sites_;
  Adapters adapters_;
  std::vector<std::string> active_;
  std::vector<std::string> merged_;
  std::vector<ModuleId> checkpointed_;
  std::optional<NoisyModule> noisy_;
  bool enabled_ = true;
  Running running_;
  // Held shared by a forward while it looks at the members above, and by a change while it writes
  // them. On the heap, so that a model can be moved.
  std::unique_ptr<std::shared_mutex> set_ = std::make_unique<std::shared_mutex>();
};

}  // namespace tenon
