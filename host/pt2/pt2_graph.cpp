#include "pt2/pt2_graph.h"

#include <stdexcept>
#include <string_view>
#include <tuple>
#include <utility>

namespace tenon::pt2 {
namespace {

// Tells the calls of one graph apart that `invoke_subgraph` runs several times: more than any
// module is called in it.
constexpr std::int32_t kCallsInOneGraph = 1 << 16;

// "torch.ops.aten.add.Tensor" -> "aten::add" and "Tensor"; what is not an operator stays as it is.
std::pair<std::string, std::string> operator_name(std::string_view target) {
  constexpr std::string_view kOperators = "torch.ops.";
  constexpr std::string_view kHigherOrder = "higher_order.";
  if (!target.starts_with(kOperators)) return {std::string(target), ""};
  const std::string_view name = target.substr(kOperators.size());
  if (name.starts_with(kHigherOrder)) {
    return {"higher_order::" + std::string(name.substr(kHigherOrder.size())), ""};
  }
  const std::size_t space = name.find('.');
  const std::size_t overload = name.rfind('.');
  if (space == std::string_view::npos || space == overload) return {std::string(target), ""};
  const std::string_view variant = name.substr(overload + 1);
  return {std::string(name.substr(0, space)) +
              "::" + std::string(name.substr(space + 1, overload - space - 1)),
          variant == "default" ? "" : std::string(variant)};
}

const Reference* first_reference(const std::vector<pt2::Argument>& outputs) {
  for (const pt2::Argument& output : outputs) {
    if (const auto* reference = std::get_if<Reference>(&output.value)) return reference;
    if (const auto* list = std::get_if<pt2::Argument::List>(&output.value)) {
      if (const Reference* inner = first_reference(list->items)) return inner;
    }
  }
  return nullptr;
}

// "node `linear_3` (torch.ops.aten.linear.default)".
std::string describe(const pt2::Node& node) {
  const Reference* output = first_reference(node.outputs);
  const std::string name = node.name.empty() && output != nullptr ? output->name : node.name;
  return "node `" + name + "` (" + node.target + ")";
}

}  // namespace

ValueId GraphBuilder::define(const std::string& name, ValueKind kind, bool is_number,
                             std::int32_t tensor) {
  const ValueId id = static_cast<ValueId>(graph_.values.size());
  graph_.values.push_back({name, kind, tensor, is_number});
  const auto seen = source_->tensors.find(name);
  recorded_.push_back(seen == source_->tensors.end() ? std::nullopt : std::optional(seen->second));
  bind(name, {id});
  return id;
}

void GraphBuilder::bind(const std::string& name, tenon::Argument value) {
  if (!name.empty() && !scope_.emplace(name, std::move(value)).second) {
    problems_.add("two values are called `" + name + "`");
  }
}

void GraphBuilder::add_nodes(const pt2::Graph& graph) {
  graph_.nodes.reserve(graph_.nodes.size() + graph.nodes.size());
  for (const pt2::Node& node : graph.nodes) add_node(node);
}

tenon::Argument GraphBuilder::look_up(const std::string& name, const std::string& where) {
  const auto found = scope_.find(name);
  if (found != scope_.end()) return found->second;
  problems_.add(where + " uses `" + name + "`, which nothing before it computes");
  return {kNoValue};
}

ValueId GraphBuilder::find(const std::string& name, const std::string& where) {
  const tenon::Argument found = look_up(name, where);
  if (const auto* id = std::get_if<ValueId>(&found.value)) return *id;
  problems_.add(where + " uses `" + name + "`, which is a constant");
  return kNoValue;
}

tenon::Argument GraphBuilder::argument(const pt2::Argument& argument, const std::string& where) {
  if (const auto* reference = std::get_if<Reference>(&argument.value)) {
    return look_up(reference->name, where);
  }
  if (const auto* constant = std::get_if<c10::IValue>(&argument.value)) return {*constant};
  if (const auto* list = std::get_if<pt2::Argument::List>(&argument.value)) {
    tenon::Argument::List items;
    for (const pt2::Argument& item : list->items)
      items.items.push_back(this->argument(item, where));
    return {std::move(items)};
  }
  if (const auto* graph = std::get_if<std::shared_ptr<pt2::Graph>>(&argument.value)) {
    return {nested(**graph, where)};
  }
  if (const auto* dictionary = std::get_if<pt2::Argument::Dictionary>(&argument.value)) {
    return this->dictionary(*dictionary, where);
  }
  if (const auto* unsupported = std::get_if<Unsupported>(&argument.value)) {
    problems_.add(where + " is " + unsupported->kind + ", which is not supported");
  }
  return {tenon::Argument::None{}};
}

tenon::Argument GraphBuilder::dictionary(const pt2::Argument::Dictionary& dictionary,
                                         const std::string& where) {
  c10::impl::GenericDict result(c10::StringType::get(), c10::AnyType::get());
  for (const auto& [key, item] : dictionary.items) {
    const auto* constant = std::get_if<c10::IValue>(&item.value);
    if (constant == nullptr) {
      problems_.add(where + " is a dictionary of computed values, which is not supported");
      break;
    }
    result.insert(key, *constant);
  }
  return {c10::IValue(std::move(result))};
}

void GraphBuilder::add_node(const pt2::Node& node) {
  const std::string description = describe(node);
  try {
    if (const auto wrapper = find_wrapper(node)) return dissolve(node, *wrapper, description);
  } catch (const std::invalid_argument& misfit) {
    problems_.add(description + ": " + misfit.what());
    return;
  }
  tenon::Node added;
  std::tie(added.target, added.overload) = operator_name(node.target);
  added.arguments.reserve(node.inputs.size());
  for (const pt2::NamedArgument& input : node.inputs) {
    const std::string where = description + ": argument `" + input.name + "`";
    added.arguments.push_back({input.name, argument(input.value, where)});
  }
  for (const pt2::Argument& output : node.outputs) {
    added.results.push_back(result(output, description + ": a result"));
  }
  const Place& place = place_of(node);
  added.module_stack = place.stack;
  added.call_index = place.call_index + repetition_ * kCallsInOneGraph;
  added.context = context_;
  added.in_function = node.in_function;
  graph_.nodes.push_back(std::move(added));
}

// Nodes without a place of their own ran where the graph that holds them was called.
const Place& GraphBuilder::place_of(const pt2::Node& node) const {
  const Place& own = modules_.place(node);
  return own.stack.empty() && place_ != nullptr ? *place_ : own;
}

void GraphBuilder::dissolve(const pt2::Node& node, const Wrapper& wrapper,
                            const std::string& description) {
  Scope inner;
  for (std::size_t i = 0; i < wrapper.operands.size(); ++i) {
    const auto* input = std::get_if<Reference>(&wrapper.graph->inputs[i].value);
    // A constant input keeps its position; the nodes hold its value.
    if (input != nullptr) inner.emplace(input->name, argument(wrapper.operands[i], description));
  }
  const Place* const place = std::exchange(place_, &place_of(node));
  const ContextId context = context_;
  const std::int32_t repetition = repetition_;
  if (!wrapper.name.empty()) repetition_ = repetitions_[wrapper.name]++;
  if (const auto* gradients = std::get_if<GradientSetting>(&wrapper.setting)) {
    enter({context, *gradients});
  } else if (const auto* autocast = std::get_if<AutocastSetting>(&wrapper.setting)) {
    enter({context, *autocast});
  }
  scope_.swap(inner);
  const pt2::Graph* const outer = std::exchange(source_, wrapper.graph.get());
  add_nodes(*wrapper.graph);
  source_ = outer;
  std::vector<tenon::Argument> results;
  for (const pt2::Argument& output : wrapper.graph->outputs) {
    results.push_back(argument(output, description + ": an output"));
  }
  scope_.swap(inner);
  repetition_ = repetition;
  context_ = context;
  place_ = place;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto* output = std::get_if<Reference>(&node.outputs[i].value);
    if (output != nullptr) bind(output->name, std::move(results[i]));
  }
}

void GraphBuilder::enter(Context context) {
  context_ = static_cast<ContextId>(graph_.contexts.size());
  graph_.contexts.push_back(std::move(context));
}

Result GraphBuilder::result(const pt2::Argument& output, const std::string& where) {
  const auto* list = std::get_if<pt2::Argument::List>(&output.value);
  if (list == nullptr) return {false, {result_value(output, where)}};
  Result result{true, {}};
  for (const pt2::Argument& item : list->items) result.values.push_back(result_value(item, where));
  return result;
}

// Constants among the results (sizes that the export fixed) are bound to nothing.
ValueId GraphBuilder::result_value(const pt2::Argument& output, const std::string& where) {
  if (const auto* reference = std::get_if<Reference>(&output.value)) {
    if (reference->name.empty()) return kNoValue;
    return define(reference->name, ValueKind::kIntermediate, reference->is_number);
  }
  if (const auto* unsupported = std::get_if<Unsupported>(&output.value)) {
    problems_.add(where + " is " + unsupported->kind + ", which is not supported");
  }
  return kNoValue;
}

std::shared_ptr<tenon::Graph> GraphBuilder::nested(const pt2::Graph& graph,
                                                   const std::string& where) {
  GraphBuilder builder(modules_, problems_, graph);
  builder.place_ = place_;
  for (const pt2::Argument& input : graph.inputs) {
    const auto* reference = std::get_if<Reference>(&input.value);
    // A constant input keeps its position; the nodes hold its value.
    const std::string name = reference == nullptr ? "" : reference->name;
    const bool is_number = reference == nullptr || reference->is_number;
    builder.graph_.inputs.push_back(builder.define(name, ValueKind::kInput, is_number));
  }
  builder.add_nodes(graph);
  for (const pt2::Argument& output : graph.outputs) {
    builder.graph_.outputs.push_back(builder.argument(output, where + ": an output"));
  }
  return std::make_shared<tenon::Graph>(std::move(builder.graph_));
}

}  // namespace tenon::pt2
