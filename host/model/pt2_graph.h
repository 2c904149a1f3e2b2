#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/graph.h"
#include "model/problem_list.h"
#include "model/pt2_modules.h"
#include "model/pt2_schema.h"

namespace tenon::pt2 {

// Builds one Graph from a decoded one: names become values, operator names the dispatcher's, module
// stacks places in the tree. What cannot be represented goes to `problems`.
class GraphBuilder {
 public:
  GraphBuilder(const ModuleMap& modules, ProblemList& problems)
      : modules_(modules), problems_(problems) {}

  // A new value. Empty names are placeholders that nothing can refer to.
  ValueId define(const std::string& name, ValueKind kind, bool is_number = false,
                 std::int32_t tensor = -1);
  void add_nodes(const pt2::Graph& graph);
  // `where` names the user of the argument in messages.
  tenon::Argument argument(const pt2::Argument& argument, const std::string& where);
  // kNoValue, and a problem, if nothing has this name.
  ValueId find(const std::string& name, const std::string& where);

  tenon::Graph& graph() { return graph_; }

 private:
  void add_node(const pt2::Node& node);
  Result result(const pt2::Argument& output, const std::string& where);
  ValueId result_value(const pt2::Argument& output, const std::string& where);
  std::shared_ptr<tenon::Graph> nested(const pt2::Graph& graph, const std::string& where);

  const ModuleMap& modules_;
  ProblemList& problems_;
  tenon::Graph graph_;
  std::unordered_map<std::string, ValueId> scope_;
};

}  // namespace tenon::pt2
