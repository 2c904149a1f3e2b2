#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapted/adapted_model.h"
#include "adapter/adapter_store.h"
#include "adapter/base_check.h"
#include "config/adapter_config.h"
#include "plugin/plugin_registry.h"
#include "start/data_start.h"

// The steps between an adapted model and the folders of its adapters, for every front end of the
// host.
namespace tenon {

// The adapter that PEFT's files call by no name.
constexpr const char* kDefaultAdapter = "default";

// With init_from, keys that the config leaves out come from that folder. Throws Error{kConfig} if a
// given key that scales the adapter differs from the folder's.
AdapterConfig effective_adapter_config(const AdapterConfig& config, const MethodTable& methods);

// Puts the adapters of a config on the model and makes them active and trainable as it says.
// Returns what the plans noted. Without `load_tensors`, of init_from only the plan is taken, and
// what starts from data starts as if from none; else such an adapter without `data` throws
// Error{kConfig}.
struct AddOptions {
  std::uint64_t seed = 0;
  bool load_tensors = true;
  // Whether training changes BatchNorm's statistics, so that they are saved with the adapter.
  bool train_statistics = false;
  std::optional<StartData> data = {};
};
std::vector<std::string> add_adapters(AdaptedModel& model,
                                      const std::vector<AdapterConfig>& adapters,
                                      const PluginRegistry& plugins, const AddOptions& options);

// The first half of it: the adapter of one of the configs, on nothing yet.
std::unique_ptr<AdapterInstance> make_adapter(const AdaptedModel& model,
                                              const std::vector<AdapterConfig>& adapters,
                                              std::size_t number, const PluginRegistry& plugins,
                                              const AddOptions& options, BaseCheck& base,
                                              std::vector<std::string>& notes);

// An adapter that a folder holds, made for the model and on nothing yet.
std::unique_ptr<AdapterInstance> place_files(const AdaptedModel& model, AdapterFiles files,
                                             const std::filesystem::path& folder,
                                             const PluginRegistry& plugins, BaseCheck& base);

// Whether an adapter's start needs data (tenon/draft/data_start.h), and no init_from.
bool needs_data(const AdapterConfig& config, const MethodTable& methods);

// The tensors of an adapter as its file holds them, by key.
std::vector<AdapterTensor> adapter_tensors(const AdapterInstance& adapter);

// Everything that goes into an adapter's folder.
AdapterFiles adapter_files(const AdaptedModel& model, const AdapterInstance& adapter);

// Saves every adapter as PEFT does: "default" in `folder`, any other in a folder of its name below.
// All of them are there afterwards or, where it throws Error{kOutput}, none.
void save_adapters(const AdaptedModel& model, const std::filesystem::path& folder, bool force);
void save_adapters(const AdaptedModel& model, OutputFolder& folder);
// Their files, to be written with others.
std::vector<FolderFile> adapters_folder_files(const AdaptedModel& model);

// An adapter named on the command line: [NAME=]DIR, NAME "default" where it is left out.
struct NamedFolder {
  std::string name;
  std::filesystem::path folder;
};
// Throws Error{kCommandLine} for a name given twice.
std::vector<NamedFolder> named_folders(const std::vector<std::string>& arguments);

// The base with the adapters of some folders on it, ready to run; the first is active.
AdaptedModel with_adapters(ModelData data, const std::vector<NamedFolder>& adapters,
                           const PluginRegistry& plugins);

}  // namespace tenon
