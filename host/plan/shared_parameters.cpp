#include "plan/shared_parameters.h"

#include <algorithm>
#include <map>

namespace tenon {
namespace {

bool go_together(const ParameterSpec& a, const ParameterSpec& b) {
  return a.shape.size() == b.shape.size() && a.dtype == b.dtype && a.flags == b.flags &&
         a.init == b.init && a.init_a == b.init_a && a.init_b == b.init_b;
}

template <typename Visit>
void for_each_shared(std::vector<PlannedLayer>& layers, Visit visit) {
  for (PlannedLayer& layer : layers) {
    for (ParameterSpec& spec : layer.parameters) {
      if (spec.is_shared()) visit(layer, spec);
    }
  }
}

}  // namespace

std::vector<std::string> settle_shared_parameters(std::vector<PlannedLayer>& layers) {
  struct Shared {
    ParameterSpec spec;
    std::string first;  // the layer that declared it first
  };
  std::map<std::string, Shared> shared;
  std::vector<std::string> problems;
  for_each_shared(layers, [&](const PlannedLayer& layer, const ParameterSpec& spec) {
    const std::string& path = layer.facts->description().module_path;
    Shared& known = shared.emplace(spec.shared_key, Shared{spec, path}).first->second;
    if (!go_together(known.spec, spec)) {
      problems.push_back("`" + path + "` and `" + known.first + "` share `" + spec.shared_key +
                         "` but declare it with different dimensions, dtype, flags or init: plugin "
                         "bug of " +
                         layer.layer_type->plugin().id);
      return;
    }
    for (std::size_t i = 0; i < spec.shape.size(); ++i) {
      known.spec.shape[i] = std::max(known.spec.shape[i], spec.shape[i]);
    }
  });
  for_each_shared(layers, [&](const PlannedLayer&, ParameterSpec& spec) {
    spec.shape = shared.at(spec.shared_key).spec.shape;
  });
  return problems;
}

}  // namespace tenon
