#include "plan/module_aliases.h"

#include <set>

#include "base/suggest.h"
#include "graph/tensor_names.h"

namespace tenon {
namespace {

// "b" of "b.weight", which is the module's own `weight` once more; "" if it is not.
std::string owner_of(const std::string& name, const std::string& own) {
  const std::string end = "." + own;
  const bool fits = name.size() > end.size() && name.ends_with(end);
  return fits ? name.substr(0, name.size() - end.size()) : "";
}

// The other paths of a module. One that is in the tree is a module of its own with a tied weight.
std::set<std::string> other_paths(const ModelData& model, const PlannedLayer& layer) {
  const std::string& path = layer.facts->description().module_path;
  std::set<std::string> paths;
  for (const std::int32_t number : layer.tensors) {
    const ModelTensor& tensor = model.tensors[static_cast<std::size_t>(number)];
    const std::string own = tensor.name_in(path).value_or("");
    for (const std::string& name : all_names(tensor)) {
      const std::string owner = owner_of(name, own);
      if (!own.empty() && !owner.empty() && owner != path && model.tree.find(owner) == kNoModule) {
        paths.insert(owner);
      }
    }
  }
  return paths;
}

std::string note_of(const std::string& path, const std::set<std::string>& others) {
  return "`" + path + "` is `" +
         join(std::vector<std::string>(others.begin(), others.end()), "`, `") +
         "` too: its adapter runs by whichever name it is called, PEFT's by the first alone";
}

}  // namespace

std::vector<std::string> alias_notes(const ModelData& model, const InjectionPlan& plan) {
  std::vector<std::string> notes;
  for (const PlannedLayer& layer : plan.layers) {
    const std::set<std::string> others = other_paths(model, layer);
    if (!others.empty()) notes.push_back(note_of(layer.facts->description().module_path, others));
  }
  return notes;
}

}  // namespace tenon
