#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/output_folder.h"
#include "config/adapter_config.h"
#include "plan/recorded_layer.h"

namespace tenon {

// A tensor of an adapter. `key` is the model's own name for it without PEFT's prefix:
// "seq.0.ia3_l", "seq.4.weight" for a module to save.
struct AdapterTensor {
  std::string key;
  at::Tensor tensor;
  std::string module = {};  // that it is of, where that is known: its key begins so
};

// An adapter as a folder holds it: adapter_config.json, adapter_model.safetensors, tenon.json.
struct AdapterFiles {
  AdapterConfig config;
  std::string base_model_class;  // root type's last name: "MistralForCausalLM"
  std::string parent_library;    // what stands before it: "transformers.models.mistral...."
  std::vector<AdapterTensor> tensors;
  // The base's own weights, which PEFT writes beside an adapter on `embed_tokens` or `lm_head`.
  // Read and checked, never written.
  std::vector<AdapterTensor> base_weights;
  bool has_tenon_json = false;   // PEFT's own adapters have none
  std::string base_fingerprint;  // "" if unknown
  std::vector<RecordedLayer> layers;
};

// Refuses a folder that holds something unless `force`. Called before training too, so that hours
// of work do not end at an occupied folder. Throws Error{Stage::kOutput}.
void check_output_folder(const std::filesystem::path& folder, bool force);

// The folder of an adapter that is this process's from now on: checked as above, made, locked.
std::unique_ptr<OutputFolder> reserve_adapter_folder(const std::filesystem::path& folder,
                                                     bool force);

// The files of an adapter's folder, or of the folder `inside` of it. `files` must outlive them.
std::vector<FolderFile> adapter_folder_files(const AdapterFiles& files,
                                             const std::string& inside = "");

// Writes the three files: afterwards the folder has all of the new adapter or, where it throws
// Error{Stage::kOutput}, all of the old one.
void save_adapter(const std::filesystem::path& folder, const AdapterFiles& files, bool force);

// Throws Error{Stage::kAdapter}: not an adapter folder, damaged files, files that were not saved
// together (tenon.json has their hashes), a config that asks for what Tenon does not have (all keys
// listed), `.bin` instead of safetensors. A folder that another process replaces meanwhile is read
// anew.
AdapterFiles load_adapter(const std::filesystem::path& folder);

// Only the configuration, for planning before any tensor is assigned.
AdapterConfig load_adapter_config(const std::filesystem::path& folder);
// Only who made its layers; empty for an adapter that PEFT saved.
std::vector<RecordedLayer> load_layer_records(const std::filesystem::path& folder);

// Copies every tensor of `files` into `parameters` of the same key. Missing, unexpected and
// mis-shaped ones are all listed in one Error{Stage::kAdapter}; nothing is copied then. Warns of
// NaNs and infinities.
void assign_adapter(const AdapterFiles& files, const std::vector<AdapterTensor>& parameters,
                    const std::filesystem::path& folder);

}  // namespace tenon
