#include "model/linear_module.h"

#include <optional>

#include "model/layer_kind.h"
#include "model/own_operator.h"

namespace tenon {

bool is_linear_module(const ModelData& model, const SubgraphFinder& finder, ModuleId id) {
  const std::string& type = model.tree.at(id).type;
  if (type.starts_with("torch.nn.")) {
    return type == "torch.nn.Linear" || type == "torch.nn.utils.parametrize.ParametrizedLinear";
  }
  if (type == "transformers.pytorch_utils.Conv1D") return true;
  const std::vector<Subgraph> calls = finder.find(id);
  if (layer_kind(model, calls) == "torch.nn.Linear") return true;
  const std::optional<OwnOperator> own = own_operator(model, calls);
  const std::string name = type.substr(type.rfind('.') + 1);
  return own && own->type == "torch.nn.Linear" &&
         (own->is_exact || name.find("Linear") != std::string::npos);
}

}  // namespace tenon
