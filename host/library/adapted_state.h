#pragma once

#include <tenon/adapt.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "adapted/adapted_model.h"
#include "adapter/base_check.h"
#include "config/run_config.h"
#include "plugin/plugin_registry.h"

namespace tenon {

// Behind an AdaptedModule. Plugins outlive what they made.
struct AdaptedState {
  using MakeModel = std::function<ModelData(const PluginRegistry&)>;
  AdaptedState(const PluginsConfig& config, const std::vector<std::filesystem::path>& directories,
               const MakeModel& make_model)
      : plugins(config, directories), model(make_model(plugins)) {}

  RunMode mode() const {
    return {.training = is_training, .batch_norm_training = trains_batch_norm};
  }

  // Held by whatever changes the set or looks at it, but not by forwards.
  mutable std::mutex changes;
  PluginRegistry plugins;
  AdaptedModel model;
  BaseCheck base{model};
  std::atomic<bool> is_training = false;
  std::atomic<bool> trains_batch_norm = false;
  std::atomic<bool> has_trained_statistics = false;  // BatchNorm's, in the model itself
  std::vector<std::string> notes;
  std::shared_ptr<void> program;  // a program's bytes, where they are in no file
  // Of the user's model while it is merged: each tensor, and what it was.
  std::vector<std::pair<at::Tensor, at::Tensor>> originals;
};

struct PreparedState {
  std::shared_ptr<const AdaptedState> model;
  std::unique_ptr<AdapterInstance> adapter;
};

// A config of the library's as the host's own, with all of it checked.
RunConfig read_adapter_config(const Config& config);
ModelConfig read_plugin_model(const std::string& model, const Table& options);
RunConfig read_train_config(const Config& config);

// The adapter of a config, on nothing yet; examples to start from are the options'.
std::unique_ptr<AdapterInstance> make_adapter(AdaptedState& state, const AdapterConfig& config,
                                              const StartOptions& options,
                                              std::vector<std::string>& notes);

}  // namespace tenon
