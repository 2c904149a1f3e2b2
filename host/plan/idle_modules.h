#pragma once

#include <string>
#include <vector>

#include "graph/owned_tensors.h"
#include "graph/subgraph.h"
#include "plan/weight_targets.h"

namespace tenon {

// Modules on which an adapter would do nothing, since the program's outputs do not depend on what
// they run. Borrows the model and the finder.
class IdleModules {
 public:
  IdleModules(const ModelData& model, const SubgraphFinder& finder);

  // "has no operator that the program's outputs depend on ..."; "" if the module runs.
  std::string why(ModuleId id) const;
  // The same of parameters that are adapted by name.
  std::string why(const ParameterTargets& targets) const;
  // Takes the calls out that nothing depends on.
  void erase_from(std::vector<Subgraph>& calls) const;

 private:
  std::string reader_of(const std::string& path) const;

  const ModelData& model_;
  const SubgraphFinder& finder_;
  OwnedTensors owned_;
  std::vector<bool> reachable_;
};

}  // namespace tenon
