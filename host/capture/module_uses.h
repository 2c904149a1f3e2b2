#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace tenon {

using ModuleCall = std::vector<std::int32_t>;  // nodes, ascending

// Which nodes compute with a module's own parameters, call by call.
class ModuleUses {
 public:
  explicit ModuleUses(const ModelData& model);
  std::vector<ModuleCall> calls(ModuleId module) const;
  // Whether the module itself owns a parameter or buffer.
  bool has_tensors(const std::string& path) const;

 private:
  // A node that reads a parameter or buffer itself.
  struct Read {
    std::int32_t node;
    std::int32_t tensor;
  };

  void find_owners();
  void follow_weights();
  ModuleId choose_owner(const std::vector<std::int32_t>& tensors, const Node& node) const;
  std::vector<std::size_t> call_starts(ModuleId module, const std::vector<Read>& reads) const;

  const ModelData& model_;
  std::vector<std::vector<ModuleId>> owners_;  // by tensor
  std::vector<std::vector<Read>> reads_;       // by module
  std::vector<std::int32_t> producer_;         // by value
  std::vector<ModuleId> made_of_;  // by value: the module of whose parameters alone it is made
  std::vector<ModuleId> user_;     // by node: the module that computes in it
};

}  // namespace tenon
