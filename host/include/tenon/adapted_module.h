// A model with a set of adapters on it, and what its functions take. Included by <tenon/adapt.h>.
#pragma once

#include <ATen/core/Tensor.h>
#include <tenon/combine_options.h>
#include <tenon/config.h>
#include <tenon/model_status.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace torch::optim {
class Optimizer;
}

namespace tenon {

// How one more adapter starts; as AdaptOptions.
struct StartOptions {
  std::uint64_t seed = 0;
  std::vector<at::Tensor> start_inputs = {};
  std::int64_t start_batch_size = 32;
};

// What of the set of adapters one forward runs with.
struct ForwardOptions {
  // The adapter of each row of the first input, or "__base__" for none (PEFT: adapter_names);
  // empty: all rows run alike.
  std::vector<std::string> adapters = {};
  // These for all rows, summed in this order, whatever is active; {}: the base alone.
  std::optional<std::vector<std::string>> active = std::nullopt;

  // Before C++20, which has {.adapters = ...} and {.active = ...}.
  static ForwardOptions of_rows(std::vector<std::string> adapters) {
    return {std::move(adapters), std::nullopt};
  }
  static ForwardOptions of_active(std::vector<std::string> adapters) {
    return {{}, std::move(adapters)};
  }
};

struct AdaptedState;
struct PreparedState;
struct TrainReport;
struct TrainRows;
struct TrainStep;

class AdaptedModule;
namespace detail {
TrainReport train_adapted(AdaptedModule& model, const TrainRows& rows, const Config& config,
                          const std::function<bool(const TrainStep&)>& go_on);
}

// An adapter that is read and ready, for AdaptedModule::swap. It is for the model that prepared it,
// which must outlive it.
class PreparedAdapter {
 public:
  explicit PreparedAdapter(std::shared_ptr<PreparedState> state) : state_(std::move(state)) {}

 private:
  friend class AdaptedModule;
  std::shared_ptr<PreparedState> state_;
};

// Parameters that share a learning rate and a weight decay (LoRA+).
struct ParameterGroup {
  std::vector<at::Tensor> parameters;
  double learning_rate = 0;
  double weight_decay = 0;
};

struct GroupOptions {
  double learning_rate = 1e-3;
  double weight_decay = 0;
  double loraplus_lr_ratio = 1;         // lora_B's learning rate over the others'
  double loraplus_lr_embedding = 1e-6;  // of an embedding's pair
};

// A model with a set of adapters on it. The base is frozen and shared with the user's model, whose
// own forward stays as it was until merge_into_model. Copies are the same object.
//
// Threads: forwards may run in any number of threads, and meanwhile others may call everything
// else but what is named here. Each forward runs from its first operator to its last with the set
// as it was when it began, so a change is seen whole or not at all and waits for no forward; what a
// running forward still uses is kept until it ends. Changes take their turns. The exceptions, which
// write tensors that forwards read, and want no forward beside them: an optimizer's step, train(),
// load_state, merge_into_model and unmerge_from_model.
class AdaptedModule {
 public:
  explicit AdaptedModule(std::shared_ptr<AdaptedState> state);

  // The defined tensors of the output, in order.
  std::vector<at::Tensor> run(const std::vector<at::Tensor>& inputs,
                              const ForwardOptions& options = {}) const;

  // Puts one more adapter on the model, neither active nor trained until activate() (PEFT:
  // add_adapter). The config's `name` and `active` do not count.
  void add(const std::string& name, const Config& config, const StartOptions& options = {});
  // The same with what a folder holds, which PEFT or Tenon saved.
  void load(const std::string& name, const std::filesystem::path& folder);
  // If it was active alone, the first of the others in alphabetical order becomes active.
  void remove(const std::string& name);
  // These run from now on, summed in this order; the others do not. With `trainable` they are
  // trained, and they alone (PEFT: set_adapter). Unmerges first if something is merged.
  void activate(const std::vector<std::string>& names, bool trainable = true);
  std::vector<std::string> active() const;
  std::vector<std::string> names() const;  // in the order they were added
  void freeze(const std::string& name);
  // Of those that are active, only these are trained.
  void train_only(const std::vector<std::string>& names);
  // The adapter's term, `factor` times what its config makes of it.
  void rescale(const std::string& name, double factor);
  // Another adapter's tensors under a name that is there; activity, training and scale stay. Ranks
  // may differ. What is prepared goes in at once, and what it replaces is in its place afterwards.
  void swap(const std::string& name, const std::filesystem::path& folder);
  PreparedAdapter prepare(const std::string& name, const std::filesystem::path& folder) const;
  void swap(PreparedAdapter& prepared);

  // One more adapter that is others put together, with their layers (PEFT: add_weighted_adapter).
  void combine(const std::string& name, const std::vector<std::string>& adapters,
               const CombineOptions& options);

  // What an optimizer trains: of all adapters, or of one.
  std::vector<at::Tensor> parameters() const;
  std::vector<at::Tensor> parameters(const std::string& name) const;
  // With the names that they have in a file, "seq.0.lora_A.weight": of what is active, or of one.
  std::vector<std::pair<std::string, at::Tensor>> named_parameters() const;
  std::vector<std::pair<std::string, at::Tensor>> named_parameters(const std::string& name) const;
  // LoRA+: parameters() by what their learning rate and weight decay are.
  std::vector<ParameterGroup> parameter_groups(const GroupOptions& options) const;

  // At first the mode of the user's model; an exported program's is evaluation. BatchNorm's
  // statistics are used and not updated, unless `batch_norm`.
  void train(bool on = true, bool batch_norm = false);
  void eval() { train(false); }
  bool is_training() const;
  // From now on training forwards keep only what goes into these modules, whose gradients run them
  // once more. Names as in target_modules; none: all is kept.
  void checkpoint(const std::vector<std::string>& modules);

  // Writes the folders of all adapters, as PEFT does: "default" in the folder, others below it.
  void save(const std::filesystem::path& folder, bool force = false);
  // One adapter's into the folder itself.
  void save(const std::string& name, const std::filesystem::path& folder, bool force = false);
  // Adapters, what the optimizer keeps and the random numbers' state in one file, from which
  // load_state goes on: the same set of adapters, and the same kind of optimizer of the same
  // parameters.
  void save_state(const torch::optim::Optimizer& optimizer,
                  const std::filesystem::path& file) const;
  void load_state(torch::optim::Optimizer& optimizer, const std::filesystem::path& file);

  // Folds adapters into weights beside the base's own, which stay as they are: forwards get
  // faster, and unmerge is exact. Of no names, what is active.
  void merge(const std::vector<std::string>& names = {});
  void unmerge();
  // The same in the user's model's own weights: from then on its own forward gives the adapted
  // output. While it is so, the set cannot be changed.
  void merge_into_model();
  void unmerge_from_model();

  std::vector<std::string> targeted_module_names() const;
  // What is on each layer: plugin, adapters, whether active, merged and trained, dtype, device.
  ModelStatus status() const;
  // "trainable params: 52,162 || all params: ...", as PEFT prints it.
  std::string trainable_parameters() const;
  // What the user should know: sizes that are fixed, layers that were skipped.
  std::vector<std::string> notes() const;

 private:
  friend TrainReport detail::train_adapted(AdaptedModule& model, const TrainRows& rows,
                                           const Config& config,
                                           const std::function<bool(const TrainStep&)>& go_on);

  std::shared_ptr<AdaptedState> state_;
};

}  // namespace tenon
