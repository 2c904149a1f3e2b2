#include "inject/owned_tensors.h"

namespace tenon {

std::vector<std::int32_t> owned_tensors(const ModelData& model, const std::string& path,
                                        std::vector<std::string>& relative_names) {
  std::vector<std::int32_t> owned;
  for (std::size_t i = 0; i < model.tensors.size(); ++i) {
    const auto name = model.tensors[i].name_in(path);
    if (!name) continue;
    owned.push_back(static_cast<std::int32_t>(i));
    relative_names.push_back(*name);
  }
  return owned;
}

}  // namespace tenon
