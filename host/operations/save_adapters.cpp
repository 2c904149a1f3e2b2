#include <memory>
#include <utility>

#include "adapter/adapter_store.h"
#include "base/output_folder.h"
#include "operations/adapter_stages.h"

namespace tenon {

void save_adapters(const AdaptedModel& model, const std::filesystem::path& folder, bool force) {
  save_adapters(model, *reserve_adapter_folder(folder, force));
}

std::vector<FolderFile> adapters_folder_files(const AdaptedModel& model) {
  std::vector<FolderFile> files;
  for (const std::string& name : model.adapter_names()) {
    const auto adapter =
        std::make_shared<const AdapterFiles>(adapter_files(model, model.adapter(name)));
    for (FolderFile& file : adapter_folder_files(*adapter, name == kDefaultAdapter ? "" : name)) {
      // The files borrow of the adapter.
      files.push_back(
          {file.name, [adapter, write = std::move(file.write)](const auto& path) { write(path); }});
    }
  }
  return files;
}

void save_adapters(const AdaptedModel& model, OutputFolder& folder) {
  folder.write(adapters_folder_files(model));
}

}  // namespace tenon
