#include "interpreter/graph_compiler.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "base/error.h"
#include "graph/graph_walk.h"
#include "interpreter/attention.h"
#include "interpreter/control_flow.h"
#include "interpreter/frozen_linear.h"
#include "interpreter/mode_flags.h"
#include "interpreter/package_operators.h"

namespace tenon {
namespace {

std::vector<ResultSlots> result_slots(const Node& node) {
  std::vector<ResultSlots> results;
  for (const Result& result : node.results) {
    results.push_back({result.is_list, {result.values.begin(), result.values.end()}});
  }
  return results;
}

// The one context in which a piece can run whose nodes may stand in several.
ContextId context_of(const Graph& graph, const std::vector<std::int32_t>& nodes) {
  ContextId context = graph.nodes[static_cast<std::size_t>(nodes.front())].context;
  for (const std::int32_t node : nodes) {
    context = common_context(graph, context, graph.nodes[static_cast<std::size_t>(node)].context);
  }
  return context;
}

}  // namespace

GraphCompiler::GraphCompiler(const Graph& graph, const std::vector<ModelTensor>& tensors)
    : graph_(graph), tensors_(tensors) {
  written_.resize(graph.values.size());
  std::iota(written_.begin(), written_.end(), 0);
  places_.slots.assign(graph.values.size(), -1);
  places_.fixed.resize(graph.values.size());
  // What a run ends with writing into is read from a slot: Program puts it there.
  std::set<ValueId> mutated;
  for (const auto& mutation : graph.mutations) mutated.insert(mutation.first);
  for (std::size_t id = 0; id < graph.values.size(); ++id) {
    const Value& value = graph.values[id];
    if (value.tensor >= 0 && !mutated.contains(static_cast<ValueId>(id))) {
      places_.fixed[id] = tensors[static_cast<std::size_t>(value.tensor)].tensor;
    } else {
      places_.slots[id] = static_cast<std::int32_t>(id);
    }
  }
}

void GraphCompiler::add_node(const Node& node) {
  if (is_check_only(node) || merge_copy_onto_itself(node)) return;
  note_writing(node);
  enter(node.context);
  if (node.target.starts_with("higher_order::")) {
    add_control_flow(node);
  } else if (node.target.find("::") != std::string::npos) {
    add_operator(node);
  } else {
    add_symbolic(node);
  }
}

// The exporter ends a module that wrote into its buffer by copying the result to the buffer, which
// it is. To run that would count as another write, and forbid the backward of what read it.
bool GraphCompiler::merge_copy_onto_itself(const Node& node) {
  if (node.target != "aten::copy_" || node.arguments.size() < 2) return false;
  const auto* target = std::get_if<ValueId>(&node.arguments[0].value.value);
  const auto* source = std::get_if<ValueId>(&node.arguments[1].value.value);
  if (target == nullptr || source == nullptr) return false;
  const auto place = [](ValueId id) { return static_cast<std::size_t>(id); };
  if (written_[place(*target)] != written_[place(*source)]) return false;
  for_each_write(node, [&](ValueId id) {
    places_.slots[place(id)] = places_.slots[place(*source)];
    places_.fixed[place(id)] = places_.fixed[place(*source)];
  });
  return true;
}

void GraphCompiler::note_writing(const Node& node) {
  if (!writes_in_place(node) || node.arguments.empty()) return;
  const auto* target = std::get_if<ValueId>(&node.arguments[0].value.value);
  if (target == nullptr) return;
  for_each_write(node, [&](ValueId id) {
    written_[static_cast<std::size_t>(id)] = written_[static_cast<std::size_t>(*target)];
  });
}

void GraphCompiler::add_replacement(Replacement& replacement) {
  enter(context_of(graph_, replacement.nodes));
  std::vector<Operand> operands;
  for (const ValueId id : replacement.inputs) {
    operands.push_back(make_untyped_operand({id}, places_));
  }
  instructions_.push_back(std::make_unique<ReplacementInstruction>(
      std::move(replacement.function), std::move(operands),
      std::vector<std::int32_t>(replacement.outputs.begin(), replacement.outputs.end())));
}

void GraphCompiler::end_node(std::int32_t node) {
  for (; named_ < instructions_.size(); ++named_) instructions_[named_]->node = node;
}

std::vector<std::unique_ptr<Instruction>> GraphCompiler::finish() {
  if (problems_.empty()) return std::move(instructions_);
  std::string message = "this model needs what Tenon cannot run:";
  for (const std::string& problem : problems_) message += "\n  - " + problem;
  throw Error({.stage = Stage::kModel, .message = message});
}

void GraphCompiler::enter(ContextId context) {
  if (context == context_) return;
  context_ = context;
  instructions_.push_back(std::make_unique<ContextInstruction>(settings_of(graph_, context)));
}

void GraphCompiler::add_operator(const Node& node) {
  const std::string full_name =
      node.overload.empty() ? node.target : node.target + "." + node.overload;
  const auto handle = find_operator(node.target, node.overload);
  if (!handle) {
    add_problem("the operator " + full_name + " is not in this LibTorch");
    return;
  }
  const c10::FunctionSchema& schema = handle->schema();
  std::vector<Operand> operands;
  for (const c10::Argument& declared : schema.arguments()) {
    try {
      operands.push_back(operand_for(node, declared));
    } catch (const std::invalid_argument& misfit) {
      add_problem("the operator " + full_name + " got " + misfit.what() + " for its argument `" +
                  declared.name() + "`");
      return;
    }
  }
  for (const NamedArgument& given : node.arguments) {
    if (!schema.argumentIndexWithName(given.name)) {
      add_problem("the operator " + full_name + " has no argument `" + given.name +
                  "` in this LibTorch");
      return;
    }
  }
  if (schema.returns().size() != node.results.size() && !node.results.empty()) {
    add_problem("the operator " + full_name + " gives " + std::to_string(schema.returns().size()) +
                " results in this LibTorch, not " + std::to_string(node.results.size()));
    return;
  }
  for (std::size_t i = 0; i < node.results.size(); ++i) {
    if (!node.results[i].is_list || schema.returns()[i].type()->kind() == c10::TypeKind::ListType) {
      continue;
    }
    add_problem("the operator " + full_name + " gives no list of results in this LibTorch");
    return;
  }
  if (node.target == "aten::scaled_dot_product_attention") {
    instructions_.push_back(std::make_unique<AttentionInstruction>(*handle, std::move(operands),
                                                                   result_slots(node), false));
    return;
  }
  if (full_name == "aten::linear") {
    instructions_.push_back(std::make_unique<LinearInstruction>(*handle, std::move(operands),
                                                                result_slots(node), false));
    return;
  }
  instructions_.push_back(std::make_unique<OperatorInstruction>(
      *handle, std::move(operands), result_slots(node), counts_batches(node, graph_, tensors_)));
}

Operand GraphCompiler::operand_for(const Node& node, const c10::Argument& declared) const {
  const auto given =
      std::find_if(node.arguments.begin(), node.arguments.end(),
                   [&](const NamedArgument& a) { return a.name == declared.name(); });
  Operand operand;
  if (given != node.arguments.end()) {
    operand = make_operand(given->value, declared.type(), places_);
  } else if (declared.default_value()) {
    operand.constant = *declared.default_value();
  } else {
    throw std::invalid_argument("nothing");
  }
  if (const auto flag = mode_flag(node, declared.name())) operand.kind = *flag;
  return operand;
}

void GraphCompiler::add_symbolic(const Node& node) {
  const SymbolicOperator op = find_symbolic_operator(node.target);
  if (op == nullptr) {
    add_problem("the operator " + node.target + " on sizes is not supported");
    return;
  }
  std::vector<Operand> operands;
  for (const NamedArgument& argument : node.arguments) {
    operands.push_back(make_untyped_operand(argument.value, places_));
  }
  if (node.results.size() > 1 || (node.results.size() == 1 && node.results[0].is_list)) {
    add_problem("the operator " + node.target + " on sizes gives one result");
    return;
  }
  const ValueId result = node.results.empty() ? kNoValue : node.results[0].values[0];
  instructions_.push_back(std::make_unique<SymbolicInstruction>(op, std::move(operands), result));
}

void GraphCompiler::add_control_flow(const Node& node) {
  try {
    const ControlFlow flow = read_control_flow(node);
    std::vector<Program> programs;
    for (const auto& graph : flow.graphs) programs.emplace_back(*graph, tensors_);
    std::vector<std::vector<Operand>> groups;
    for (const auto& group : flow.operands) groups.push_back(untyped_operands(group));
    instructions_.push_back(
        make_control_flow(flow.kind, std::move(programs), std::move(groups), result_slots(node)));
  } catch (const std::invalid_argument& misfit) {
    add_problem("the higher-order operator " + node.target.substr(node.target.find("::") + 2) +
                " " + misfit.what());
  }
}

std::vector<Operand> GraphCompiler::untyped_operands(const std::vector<Argument>& arguments) const {
  std::vector<Operand> operands;
  for (const Argument& argument : arguments) {
    operands.push_back(make_untyped_operand(argument, places_));
  }
  return operands;
}

}  // namespace tenon
