#include "plan/block_targets.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/suggest.h"
#include "model/linear_module.h"
#include "targets/module_names.h"

namespace tenon {
namespace {

constexpr std::string_view kAllInside = ".*";

[[noreturn]] void fail_block(const AdapterConfig& config, const std::string& message,
                             const std::string& hint) {
  throw Error(
      {.stage = Stage::kInjection, .message = message, .hint = hint, .location = config.location});
}

// The fully connected layers; of methods that take none, those that they take.
class WantedLayers {
 public:
  WantedLayers(const ModelData& model, const std::vector<std::string>& served)
      : model_(model),
        finder_(model),
        served_(served),
        linear_(std::ranges::count(served, "torch.nn.Linear") > 0) {}

  bool contains(std::size_t id) const {
    if (linear_) return is_linear_module(model_, finder_, static_cast<ModuleId>(id));
    return std::ranges::count(served_, model_.tree.modules[id].type) > 0;
  }

  std::string kind(const std::string& method) const {
    return linear_ ? "a fully connected one" : "of a type that method " + method + " takes";
  }

 private:
  const ModelData& model_;
  const SubgraphFinder finder_;
  const std::vector<std::string>& served_;
  const bool linear_;
};

}  // namespace

bool names_blocks(const ModuleRule& rule) {
  const auto* names = std::get_if<std::vector<std::string>>(&rule);
  return names != nullptr && std::ranges::any_of(*names, [](const std::string& name) {
           return name.ends_with(kAllInside);
         });
}

std::vector<std::string> expand_blocks(const AdapterConfig& config, const ModelData& model,
                                       const std::vector<std::string>& names,
                                       const std::vector<std::string>& served) {
  const WantedLayers wanted(model, served);
  std::vector<std::string> expanded;
  const auto add = [&](const std::string& name) {
    if (std::ranges::count(expanded, name) == 0) expanded.push_back(name);
  };
  for (const std::string& name : names) {
    if (!name.ends_with(kAllInside)) {
      add(name);
      continue;
    }
    const std::string block = name.substr(0, name.size() - kAllInside.size());
    std::vector<std::string> blocks;
    std::vector<std::string> paths;
    for (const Module& module : model.tree.modules) {
      if (module.path.empty()) continue;
      paths.push_back(module.path);
      if (is_named(module.path, block)) blocks.push_back(module.path);
    }
    if (blocks.empty()) {
      const std::string near = did_you_mean(block, paths);
      fail_block(config,
                 "`" + name + "` in target_modules: there is no module `" + block + "`" +
                     (near.empty() ? "" : "; " + near),
                 "`tenon tree` lists the model's modules");
    }
    const std::size_t before = expanded.size();
    for (std::size_t id = 0; id < model.tree.modules.size(); ++id) {
      const std::string& path = model.tree.modules[id].path;
      const bool is_inside = std::ranges::any_of(
          blocks, [&](const std::string& outer) { return path.starts_with(outer + "."); });
      if (is_inside && wanted.contains(id)) add(path);
    }
    if (expanded.size() > before) continue;
    fail_block(config,
               "`" + name + "` in target_modules: no layer in `" + block + "` is " +
                   wanted.kind(config.method),
               "name the layers themselves");
  }
  return expanded;
}

}  // namespace tenon
