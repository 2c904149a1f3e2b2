#include "adapter/adapter_store.h"

#include <sys/stat.h>

#include <functional>
#include <tuple>

#include "adapter/adapter_folder.h"
#include "adapter/base_weights.h"
#include "adapter/foreign_adapter.h"
#include "adapter/peft_config.h"
#include "adapter/peft_names.h"
#include "adapter/tenon_json.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/safetensors.h"
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

SafetensorsFile open_tensors(const std::filesystem::path& folder) {
  return {current_file(folder, kTensorFile), Stage::kAdapter};
}

std::vector<AdapterTensor> read_tensors(const SafetensorsFile& file) {
  std::vector<AdapterTensor> tensors;
  std::string foreign;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors_of(file)) {
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
                 .location = file.mapping()->path().string()});
  }
  return tensors;
}

std::string config_text(const std::filesystem::path& folder) {
  require_adapter_config(folder);
  return read_text_file(current_file(folder, kConfigFile), Stage::kAdapter, kMostConfigBytes);
}

// "" where the folder has none. A replacement file by file may move it between two looks.
std::string record_text(const std::filesystem::path& folder) {
  constexpr int kTries = 20;
  for (int i = 0;; ++i) {
    const std::filesystem::path file = current_file(folder, kRecordFile);
    if (!std::filesystem::exists(file)) {
      if (file == folder / kRecordFile) return "";
      continue;
    }
    try {
      return read_text_file(file, Stage::kAdapter, kMostConfigBytes);
    } catch (const Error&) {
      if (i == kTries) throw;
    }
  }
}

TenonRecord read_record(const std::string& text, const std::filesystem::path& folder) {
  if (text.empty()) return {};
  return read_tenon_json(text, (folder / kRecordFile).string());
}

void require_hash(const std::string& recorded, const std::string& found, const char* name,
                  const std::filesystem::path& folder) {
  if (recorded.empty() || recorded == found) return;
  throw Error({.stage = Stage::kAdapter,
               .message = std::string(name) +
                          " is not the file that tenon.json was saved with (its SHA-256 is " +
                          found + ", not " + recorded +
                          "): the folder holds files of two adapters, or one was changed since",
               .hint =
                   "save the adapter again; if the files do belong together, delete tenon.json, "
                   "which then says no longer which plugins made the layers",
               .location = folder.string()});
}

AdapterFiles read_once(const std::filesystem::path& folder, const std::string& record_json) {
  const std::string config = config_text(folder);
  const std::string file = (folder / kConfigFile).string();
  require_adapter_tensors(folder);
  AdapterFiles files;
  files.config = read_peft_config(config, file);
  BaseModelClass base = read_base_model_class(config, file);
  files.base_model_class = std::move(base.name);
  files.parent_library = std::move(base.parent_library);
  const SafetensorsFile tensors = open_tensors(folder);
  files.tensors = read_tensors(tensors);
  files.base_weights = take_base_weights(files.tensors);
  files.has_tenon_json = !record_json.empty();
  TenonRecord record = read_record(record_json, folder);
  files.base_fingerprint = std::move(record.base_fingerprint);
  files.layers = std::move(record.layers);
  require_hash(record.config_sha256, sha256_hex(config), kConfigFile, folder);
  if (!record.tensors_sha256.empty()) {
    require_hash(record.tensors_sha256, sha256_hex(tensors.mapping()->bytes()), kTensorFile,
                 folder);
  }
  return files;
}

// The record, and which files stand there: two adapters may have the same record.
struct FolderState {
  explicit FolderState(const std::filesystem::path& folder) : record(record_text(folder)) {
    for (const char* name : {kConfigFile, kTensorFile, kRecordFile}) {
      const std::filesystem::path file = current_file(folder, name);
      struct stat facts {};
      if (::stat(file.c_str(), &facts) != 0) continue;
      files.emplace_back(file, facts.st_ino, facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec);
    }
  }
  bool operator==(const FolderState&) const = default;

  std::string record;
  std::vector<std::tuple<std::filesystem::path, ino_t, time_t, long>> files;
};

// Reads until nobody has changed the folder meanwhile.
template <typename T>
T read_whole(const std::filesystem::path& folder,
             const std::function<T(const std::string& record_json)>& read) {
  constexpr int kTries = 50;
  finish_replacement(folder);
  for (int i = 0;; ++i) {
    const FolderState before(folder);
    const auto is_changed = [&] { return i < kTries && FolderState(folder) != before; };
    try {
      T found = read(before.record);
      if (!is_changed()) return found;
    } catch (const Error&) {
      if (!is_changed()) throw;
    }
  }
}

}  // namespace

std::unique_ptr<OutputFolder> reserve_adapter_folder(const std::filesystem::path& folder,
                                                     bool force) {
  check_output_folder(folder, force);
  auto reserved = std::make_unique<OutputFolder>(folder, "the adapter");
  check_output_folder(folder, force);  // another process may have been at it until now
  return reserved;
}

std::vector<FolderFile> adapter_folder_files(const AdapterFiles& files, const std::string& inside) {
  const std::string prefix = inside.empty() ? "" : inside + "/";
  const auto config = std::make_shared<const std::string>(
      write_peft_config(files.config, files.base_model_class, files.parent_library));
  return {{prefix + kTensorFile,
           [&files](const auto& path) { write_tensor_file(path, peft_tensors(files.tensors)); }},
          {prefix + kConfigFile, [config](const auto& path) { write_file(path, *config); }},
          {prefix + kRecordFile, [&files, config](const std::filesystem::path& path) {
             const MappedFile tensors(path.parent_path() / kTensorFile, Stage::kOutput);
             write_file(path, write_tenon_json({.base_fingerprint = files.base_fingerprint,
                                                .config_sha256 = sha256_hex(*config),
                                                .tensors_sha256 = sha256_hex(tensors.bytes()),
                                                .layers = files.layers}));
           }}};
}

void save_adapter(const std::filesystem::path& folder, const AdapterFiles& files, bool force) {
  reserve_adapter_folder(folder, force)->write(adapter_folder_files(files));
}

AdapterFiles load_adapter(const std::filesystem::path& folder) {
  return read_whole<AdapterFiles>(
      folder, [&](const std::string& record_json) { return read_once(folder, record_json); });
}

std::vector<RecordedLayer> load_layer_records(const std::filesystem::path& folder) {
  return read_record(record_text(folder), folder).layers;
}

AdapterConfig load_adapter_config(const std::filesystem::path& folder) {
  return read_whole<AdapterConfig>(folder, [&](const std::string& record_json) {
    const std::string text = config_text(folder);
    AdapterConfig config = read_peft_config(text, (folder / kConfigFile).string());
    require_hash(read_record(record_json, folder).config_sha256, sha256_hex(text), kConfigFile,
                 folder);
    return config;
  });
}

}  // namespace tenon
