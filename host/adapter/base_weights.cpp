#include "adapter/base_weights.h"

#include <ATen/ops/equal.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <string_view>

#include "adapter/adapter_folder.h"
#include "base/error.h"

namespace tenon {
namespace {

constexpr std::string_view kSuffix = ".base_layer.weight";

std::string module_of(const std::string& key) {
  return key.ends_with(kSuffix) ? key.substr(0, key.size() - kSuffix.size()) : "";
}

const ModelTensor* find_weight(std::span<const ModelTensor> base, const std::string& module) {
  const auto found = std::ranges::find_if(
      base, [&](const ModelTensor& tensor) { return tensor.name_in(module) == "weight"; });
  return found == base.end() ? nullptr : &*found;
}

}  // namespace

std::vector<AdapterTensor> take_base_weights(std::vector<AdapterTensor>& tensors) {
  std::set<std::string> adapted;  // with the tensors of an adapter beside the base's weight
  for (const AdapterTensor& tensor : tensors) {
    const std::string module = module_of(tensor.key);
    if (module.empty()) continue;
    const bool has_others = std::ranges::any_of(tensors, [&](const AdapterTensor& other) {
      return other.key != tensor.key && other.key.starts_with(module + ".");
    });
    if (has_others) adapted.insert(module);
  }
  // Not std::ranges': clang 14 does not take the subrange of libstdc++ 12.
  const auto others =
      std::stable_partition(tensors.begin(), tensors.end(), [&](const AdapterTensor& tensor) {
        const std::string module = module_of(tensor.key);
        return module.empty() || !adapted.contains(module);
      });
  std::vector<AdapterTensor> weights(others, tensors.end());
  tensors.erase(others, tensors.end());
  return weights;
}

void check_base_weights(const AdapterFiles& files, std::span<const ModelTensor> base,
                        const std::filesystem::path& folder) {
  std::string differing;
  for (const AdapterTensor& saved : files.base_weights) {
    const ModelTensor* weight = find_weight(base, module_of(saved.key));
    if (weight != nullptr && weight->tensor.sizes() == saved.tensor.sizes() &&
        at::equal(weight->tensor, saved.tensor.to(weight->tensor.options()))) {
      continue;
    }
    differing += "\n  " + saved.key;
  }
  if (differing.empty()) return;
  throw Error(
      {.stage = Stage::kAdapter,
       .message = "the adapter brings weights of the base that this model's are not:" + differing,
       .hint = "take the base that it was trained on, or save it again by "
               "save_pretrained(folder, save_embedding_layers=False) if only its own "
               "tensors are wanted",
       .location = (folder / kTensorFile).string()});
}

}  // namespace tenon
