#include "adapted/checkpointed_modules.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "graph/subgraph.h"
#include "interpreter/checkpoint.h"
#include "targets/rule_matcher.h"

namespace tenon {
namespace {

[[noreturn]] void fail_checkpoint(const std::string& message, const std::string& hint) {
  throw Error({.stage = Stage::kInjection, .message = message, .hint = hint});
}

std::vector<at::Tensor> of_kind(const ModelData& model, const Subgraph& subgraph, ValueKind kind) {
  std::vector<at::Tensor> tensors;
  for (const std::int32_t index : subgraph.tensors) {
    const ModelTensor& tensor = model.tensors[static_cast<std::size_t>(index)];
    if (tensor.kind == kind) tensors.push_back(tensor.tensor);
  }
  return tensors;
}

LayerReplacement fold(const ModelData& model, const Subgraph& subgraph,
                      std::vector<LayerReplacement>& replacements) {
  FoldedModule folded = fold_module(model, subgraph, replacements, "checkpoint");
  folded.place.replacement.function = [program = folded.program, layers = folded.place.layers,
                                       parameters = of_kind(model, subgraph, ValueKind::kParameter),
                                       buffers = of_kind(model, subgraph, ValueKind::kBuffer)](
                                          std::vector<c10::IValue> values, const RunMode& mode) {
    std::vector<at::Tensor> trained = parameters;
    std::vector<at::Tensor> written = buffers;
    for (const auto& layer : layers) {
      mode.layers->visit_slots(*layer, [&](const LayerAdapter& layer_adapter) {
        trained.insert(trained.end(), layer_adapter.parameters().begin(),
                       layer_adapter.parameters().end());
        for (const at::Tensor& weight : layer_adapter.weights()) {
          if (!weight.defined()) continue;
          (weight.requires_grad() ? trained : written).push_back(weight);
        }
      });
    }
    return run_checkpointed(
        [program, mode](std::vector<c10::IValue> given) {
          return program->run(std::move(given), mode);
        },
        std::move(values), std::move(trained), std::move(written));
  };
  return std::move(folded.place);
}

}  // namespace

std::vector<ModuleId> modules_to_checkpoint(const ModelData& model, const ModuleRule& rule) {
  RuleMatcher matcher("[train] checkpoint", rule);
  std::vector<std::string> paths;
  std::vector<ModuleId> modules;
  for (std::size_t i = 1; i < model.tree.modules.size(); ++i) {
    const std::string& path = paths.emplace_back(model.tree.modules[i].path);
    if (!matcher.matches(path)) continue;
    for (const ModuleId outer : modules) {
      if (path.starts_with(model.tree.at(outer).path + ".")) {
        fail_checkpoint("[train] checkpoint names `" + path + "` and `" +
                            model.tree.at(outer).path + "`, which it lies in",
                        "name one of the two");
      }
    }
    modules.push_back(static_cast<ModuleId>(i));
  }
  std::string unmatched;
  for (const std::string& problem : matcher.unmatched(paths)) {
    unmatched += (unmatched.empty() ? "" : "\n") + problem;
  }
  if (!unmatched.empty()) fail_checkpoint(unmatched, "`tenon tree` lists the modules");
  return modules;
}

std::vector<Replacement> checkpoint_modules(const ModelData& model,
                                            std::vector<LayerReplacement> replacements,
                                            const std::vector<ModuleId>& modules) {
  std::optional<SubgraphFinder> finder;  // indexes the whole graph
  if (!modules.empty()) finder.emplace(model);
  std::vector<LayerReplacement> folded;
  for (const ModuleId module : modules) {
    const std::vector<Subgraph> subgraphs = finder->find(module);
    if (subgraphs.empty()) {
      fail_checkpoint("[train] checkpoint names `" + model.tree.at(module).path +
                          "`, but the exported program runs no operator of it by itself",
                      "name a module that runs; `tenon tree` marks those that do not");
    }
    for (const Subgraph& subgraph : subgraphs) {
      folded.push_back(fold(model, subgraph, replacements));
    }
  }
  std::vector<Replacement> all;
  for (auto* list : {&replacements, &folded}) {
    for (LayerReplacement& each : *list) all.push_back(std::move(each.replacement));
  }
  return all;
}

}  // namespace tenon
