#include "adapter/adapter_store.h"

#include "adapter/adapter_folder.h"
#include "adapter/base_weights.h"
#include "adapter/foreign_adapter.h"
#include "adapter/peft_config.h"
#include "adapter/peft_names.h"
#include "adapter/tenon_json.h"
#include "adapter/tied_tensors.h"
#include "base/file.h"
#include "model/tensor_file.h"

namespace tenon {
namespace {

NamedTensors peft_tensors(const std::vector<AdapterTensor>& tensors) {
  NamedTensors named;
  for (const AdapterTensor& entry : tensors) {
    named.emplace_back(to_peft_key(entry.key), entry.tensor);
  }
  return named;
}

std::string hint_for(const std::vector<std::string>& names) {
  const std::string from = foreign_names(names);
  if (from.empty()) return "save the adapter with PeftModel.save_pretrained";
  return "these are names of " + from +
         "; make a PEFT adapter of the file: tenon adapter convert "
         "CONFIG --from " +
         from + " --adapter FILE.safetensors --output DIR";
}

std::vector<AdapterTensor> read_tensors(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kTensorFile;
  std::vector<AdapterTensor> tensors;
  std::string foreign;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : read_tensor_file(file, Stage::kAdapter)) {
    if (const auto key = from_peft_key(name)) {
      tensors.push_back({.key = *key, .tensor = tensor});
    } else {
      names.push_back(name);
      constexpr std::size_t kShown = 12;
      if (names.size() <= kShown) foreign += "\n  " + name;
      if (names.size() == kShown + 1) foreign += "\n  ...";
    }
  }
  if (!foreign.empty()) {
    throw Error({.stage = Stage::kAdapter,
                 .message = "these tensors do not start with PEFT's `base_model.model.`:" + foreign,
                 .hint = hint_for(names),
                 .location = file.string()});
  }
  return tensors;
}

std::string config_text(const std::filesystem::path& folder) {
  require_adapter_config(folder);
  return read_text_file(folder / kConfigFile, Stage::kAdapter);
}

void read_record(const std::filesystem::path& folder, AdapterFiles& files) {
  const std::filesystem::path file = folder / kRecordFile;
  files.has_tenon_json = std::filesystem::exists(file);
  if (!files.has_tenon_json) return;
  TenonRecord record = read_tenon_json(read_text_file(file, Stage::kAdapter), file.string());
  files.base_fingerprint = std::move(record.base_fingerprint);
  files.layers = std::move(record.layers);
}

}  // namespace

void save_adapter(const std::filesystem::path& folder, const AdapterFiles& files, bool force) {
  check_output_folder(folder, force);
  const StagingFolder staging(folder);
  write_tensor_file(staging / kTensorFile, peft_tensors(files.tensors));
  write_file(staging / kRecordFile, write_tenon_json({.base_fingerprint = files.base_fingerprint,
                                                      .layers = files.layers}));
  write_file(staging / kConfigFile,
             write_peft_config(files.config, files.base_model_class, files.parent_library));
  for (const char* name : {kTensorFile, kRecordFile, kConfigFile}) staging.publish(name);
}

AdapterFiles load_adapter(const std::filesystem::path& folder) {
  const std::string config = config_text(folder);
  const std::string file = (folder / kConfigFile).string();
  require_adapter_tensors(folder);
  AdapterFiles files;
  files.config = read_peft_config(config, file);
  BaseModelClass base = read_base_model_class(config, file);
  files.base_model_class = std::move(base.name);
  files.parent_library = std::move(base.parent_library);
  files.tensors = read_tensors(folder);
  files.base_weights = take_base_weights(files.tensors);
  if (files.config.ensure_weight_tying) files.config.saved_ties = saved_ties(files.tensors);
  read_record(folder, files);
  return files;
}

std::vector<RecordedLayer> load_layer_records(const std::filesystem::path& folder) {
  AdapterFiles files;
  read_record(folder, files);
  return std::move(files.layers);
}

AdapterConfig load_adapter_config(const std::filesystem::path& folder) {
  AdapterConfig config = read_peft_config(config_text(folder), (folder / kConfigFile).string());
  if (config.ensure_weight_tying && std::filesystem::exists(folder / kTensorFile)) {
    config.saved_ties = saved_ties(read_tensors(folder));
  }
  return config;
}

}  // namespace tenon
