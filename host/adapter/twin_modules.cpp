#include "adapter/twin_modules.h"

#include <ATen/ops/equal.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "graph/tensor_names.h"
#include "targets/module_names.h"

namespace tenon {
namespace {

// What PEFT refuses to wrap (check_module of AuxiliaryTrainingWrapper).
constexpr std::array<std::string_view, 4> kNeverWrapped{
    "torch.nn.ModuleDict", "torch.nn.ModuleList", "torch.nn.ParameterDict",
    "torch.nn.ParameterList"};

const ModelTensor* find_tensor(const ModelData& model, const std::string& name) {
  const auto found = std::ranges::find_if(model.tensors, [&](const ModelTensor& tensor) {
    return tensor.name == name || std::ranges::count(tensor.aliases, name) > 0;
  });
  return found == model.tensors.end() ? nullptr : &*found;
}

bool is_as_in_base(const ModelData& model, const AdapterTensor& tensor) {
  const ModelTensor* base = find_tensor(model, tensor.key);
  if (base == nullptr || base->tensor.sizes() != tensor.tensor.sizes()) return false;
  return at::equal(base->tensor.detach().to(tensor.tensor.options()), tensor.tensor);
}

bool is_container(const ModelData& model, const std::string& path) {
  const std::string& type = model.tree.at(model.tree.find(path)).type;
  if (!type.empty()) return std::ranges::count(kNeverWrapped, type) > 0;
  // It runs no operator of its own; a list of modules shows in no other way.
  return std::ranges::any_of(model.tree.modules, [&](const Module& module) {
    return module.path.starts_with(path + ".");
  });
}

}  // namespace

std::vector<std::string> twin_modules(const ModelData& model, const AdapterInstance& adapter) {
  std::vector<std::string> twins;
  for (const Module& module : model.tree.modules) {
    if (module.path.empty()) continue;
    const bool is_saved = std::ranges::any_of(
        adapter.saved, [&](const std::string& path) { return lies_in(module.path, path); });
    const bool is_taken = std::ranges::any_of(
        adapter.saved, [&](const std::string& path) { return module.path.ends_with(path); });
    const bool is_inside = std::ranges::any_of(
        twins, [&](const std::string& path) { return lies_in(module.path, path); });
    if (is_taken && !is_saved && !is_inside) twins.push_back(module.path);
  }
  return twins;
}

std::vector<AdapterTensor> twin_tensors(const ModelData& model,
                                        const std::vector<std::string>& twins) {
  std::vector<AdapterTensor> tensors;
  for (const ModelTensor& tensor : model.tensors) {
    if (tensor.kind == ValueKind::kConstant || !tensor.persistent) continue;
    for (const std::string& name : all_names(tensor)) {
      const bool is_twins = std::ranges::any_of(
          twins, [&](const std::string& path) { return name.starts_with(path + "."); });
      if (is_twins) tensors.push_back({name, tensor.tensor.detach()});
    }
  }
  return tensors;
}

std::vector<std::string> twin_notes(const ModelData& model, const AdapterInstance& adapter) {
  std::vector<std::string> notes;
  for (const std::string& twin : twin_modules(model, adapter)) {
    const bool is_adapted = std::ranges::any_of(adapter.layers, [&](const PlannedLayer& layer) {
      return lies_in(layer.facts->description().module_path, twin);
    });
    if (!is_adapted && !is_container(model, twin)) continue;
    notes.push_back(
        "PEFT cannot load this adapter: it takes each module whose path ends with an "
        "entry of modules_to_save, so `" +
        twin + "` too, " +
        (is_adapted ? "which the adapter is on" : "a container that it cannot wrap") +
        "; Tenon loads it");
  }
  return notes;
}

void leave_out_twins(const ModelData& model, AdapterFiles& files) {
  const std::vector<std::string>& entries = files.config.modules_to_save;
  for (const Module& module : model.tree.modules) {
    const auto is_meant = [&](const std::string& entry) { return is_named(module.path, entry); };
    const auto is_taken = [&](const std::string& entry) { return module.path.ends_with(entry); };
    if (std::ranges::any_of(entries, is_meant) || std::ranges::none_of(entries, is_taken)) continue;
    const auto is_own = [&](const AdapterTensor& tensor) {
      return tensor.key.starts_with(module.path + ".");
    };
    // A layer that is adapted has tensors of another kind.
    const bool is_trained = std::ranges::any_of(files.tensors, [&](const AdapterTensor& tensor) {
      return is_own(tensor) && find_tensor(model, tensor.key) != nullptr &&
             !is_as_in_base(model, tensor);
    });
    if (is_trained) continue;
    std::erase_if(files.tensors, [&](const AdapterTensor& tensor) {
      return is_own(tensor) && find_tensor(model, tensor.key) != nullptr;
    });
    files.config.not_saved.insert(module.path);
  }
}

}  // namespace tenon
