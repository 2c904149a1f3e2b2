#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "graph/graph.h"
#include "pt2/pt2_schema.h"

namespace tenon::pt2 {

// Where a node ran.
struct Place {
  std::vector<ModuleId> stack;  // root first; empty if the exporter hoisted the node
  std::int32_t call_index = 0;  // which call of the innermost module
};

// The module tree of a program: the paths that the exporter lists, the classes that its nodes'
// module stacks show. One module registered under several names appears under the first, as in
// Python's named_modules; the nodes of all its calls belong to it. Export writes no identity of
// modules, so two paths count as one module if they hold the same two or more tensors under the
// same names (one shared tensor is only a tied weight), or if the stacks of a strict export key
// both by one object.
class ModuleMap {
 public:
  // Throws Error{Stage::kModel} with `location` for paths no real model has.
  ModuleMap(const Program& program, const std::vector<ModelTensor>& tensors,
            const std::string& location);

  const ModuleTree& tree() const { return tree_; }
  const Place& place(const Node& node) const;

 private:
  std::unordered_map<std::string, Place> places_;  // by module stack as the file writes it
  Place hoisted_;
  ModuleTree tree_;
};

}  // namespace tenon::pt2
