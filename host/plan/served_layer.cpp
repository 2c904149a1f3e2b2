#include "plan/served_layer.h"

#include <optional>

#include "model/layer_kind.h"
#include "model/own_operator.h"

namespace tenon {

ServedLayer served_layer(const ModelData& model, const Module& module,
                         const std::vector<Subgraph>& calls, const std::string& method,
                         const PluginRegistry& plugins) {
  // Others know only what their type says.
  const auto takes_beside = [&](const std::string& type) {
    const LayerType* layer_type = plugins.find(method, type);
    return layer_type != nullptr && layer_type->takes_beside();
  };
  const std::optional<OwnOperator> own = own_operator(model, calls);
  if (plugins.find(method, module.type) != nullptr) {
    const bool does_more = own && !own->is_exact && own->type == module.type;
    return {module.type, does_more && takes_beside(module.type)};
  }
  const std::string plain = layer_kind(model, calls);
  if (!plain.empty()) {
    return {
        plain, false,
        "runs " + single_operator(model, calls.front()) + " on its own weight and nothing else"};
  }
  if (takes_beside(kEmbeddingType) && is_scaled_embedding(model, calls)) {
    return {kEmbeddingType, false, "looks rows of its own weight up and scales them"};
  }
  if (!own || plugins.find(method, own->type) == nullptr) return {module.type};
  if (own->is_exact) {
    return {own->type, false, "runs the operator of a " + own->type + ", with casts or padding"};
  }
  if (!takes_beside(own->type)) return {module.type};
  return {own->type, true, "does more than a " + own->type + ", which is added to its output"};
}

}  // namespace tenon
