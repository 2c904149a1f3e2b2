#include "adapter/adapter_stages.h"
#include "adapter/adapter_store.h"
#include "base/output_folder.h"

namespace tenon {

void save_adapters(const AdaptedModel& model, const std::filesystem::path& folder, bool force) {
  save_adapters(model, *reserve_adapter_folder(folder, force));
}

void save_adapters(const AdaptedModel& model, OutputFolder& folder) {
  std::vector<AdapterFiles> adapters;  // of which `files` borrows
  for (const std::string& name : model.adapter_names()) {
    adapters.push_back(adapter_files(model, model.adapter(name)));
  }
  std::vector<FolderFile> files;
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    const std::string name = model.adapter_names()[i];
    const auto parts = adapter_folder_files(adapters[i], name == kDefaultAdapter ? "" : name);
    files.insert(files.end(), parts.begin(), parts.end());
  }
  folder.write(files);
}

}  // namespace tenon
