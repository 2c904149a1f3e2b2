#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "graph/graph.h"
#include "pt2/problem_list.h"
#include "pt2/pt2_modules.h"
#include "pt2/pt2_schema.h"
#include "pt2/pt2_wrappers.h"

namespace tenon::pt2 {

// Builds one Graph from a decoded one: names become values, operator names the dispatcher's, module
// stacks places in the tree. Operators that only wrap a graph (`wrap_with_autocast`,
// `invoke_subgraph`) dissolve: their nodes join the graph around them, so that layers in them are
// found like any other. What cannot be represented goes to `problems`.
class GraphBuilder {
 public:
  GraphBuilder(const ModuleMap& modules, ProblemList& problems, const pt2::Graph& graph)
      : modules_(modules), problems_(problems), source_(&graph) {}

  // A new value. Empty names are placeholders that nothing can refer to.
  ValueId define(const std::string& name, ValueKind kind, bool is_number = false,
                 std::int32_t tensor = -1);
  void add_nodes(const pt2::Graph& graph);
  // `where` names the user of the argument in messages.
  tenon::Argument argument(const pt2::Argument& argument, const std::string& where);
  // kNoValue, and a problem, if no value has this name.
  ValueId find(const std::string& name, const std::string& where);

  tenon::Graph& graph() { return graph_; }
  // What the export saw of each value; nothing of numbers.
  const std::vector<std::optional<RecordedTensor>>& recorded() const { return recorded_; }

 private:
  using Scope = std::unordered_map<std::string, tenon::Argument>;

  void bind(const std::string& name, tenon::Argument value);
  tenon::Argument look_up(const std::string& name, const std::string& where);
  tenon::Argument dictionary(const pt2::Argument::Dictionary& dictionary, const std::string& where);
  void add_node(const pt2::Node& node);
  void dissolve(const pt2::Node& node, const Wrapper& wrapper, const std::string& description);
  void enter(Context context);
  const Place& place_of(const pt2::Node& node) const;
  Result result(const pt2::Argument& output, const std::string& where);
  ValueId result_value(const pt2::Argument& output, const std::string& where);
  std::shared_ptr<tenon::Graph> nested(const pt2::Graph& graph, const std::string& where);

  const ModuleMap& modules_;
  ProblemList& problems_;
  const pt2::Graph* source_;  // the graph whose names are met
  tenon::Graph graph_;
  std::vector<std::optional<RecordedTensor>> recorded_;
  Scope scope_;                   // what each name stands for
  const Place* place_ = nullptr;  // where the graph was called that is being dissolved
  ContextId context_ = 0;
  std::int32_t repetition_ = 0;  // how often the graph ran before
  std::unordered_map<std::string, std::int32_t> repetitions_;
};

}  // namespace tenon::pt2
