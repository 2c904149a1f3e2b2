#include "adapted/forward_failure.h"

#include <algorithm>

#include "model/id_tables.h"
#include "model/input_check.h"

namespace tenon {
namespace {

std::string place_of(const ModelData& model, const Node& node) {
  if (node.module_stack.empty()) return "";
  const Module& module = model.tree.at(node.module_stack.back());
  if (module.path.empty()) return "";
  return " in `" + module.path + "` (" + module.type + ")";
}

// Where the operator looks up ids of an input: the one that its table does not have.
std::optional<std::string> bad_id_of(const ModelData& model, const std::vector<at::Tensor>& inputs,
                                     std::int32_t node) {
  const std::vector<IdTable> tables = id_tables(model);
  const auto table = std::ranges::find(tables, node, &IdTable::node);
  if (table == tables.end()) return std::nullopt;
  return bad_id(inputs[table->input], model.inputs[table->input].name, *table);
}

}  // namespace

Error forward_failure(const ModelData& model, const std::vector<at::Tensor>& inputs,
                      const NodeFailure& failure) {
  if (const auto bad = bad_id_of(model, inputs, failure.node)) {
    return Error({.stage = Stage::kModel, .message = *bad});
  }
  const Node& node = model.graph.nodes[static_cast<std::size_t>(failure.node)];
  const std::string sizes = dynamic_sizes(model.inputs, inputs);
  std::string message = "the operator " + node.target + place_of(model, node) +
                        " cannot run on this input: " + failure.what_without_backtrace();
  if (sizes.empty()) return Error({.stage = Stage::kModel, .message = message});
  return Error({.stage = Stage::kModel,
                .message = message + "\n  " + sizes,
                .hint =
                    "the export may have written a size of its example inputs into this operator; "
                    "give inputs of those sizes, or export it for others"});
}

}  // namespace tenon
