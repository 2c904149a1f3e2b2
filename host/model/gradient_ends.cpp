#include "model/gradient_ends.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string_view>

#include "graph/contexts.h"
#include "graph/graph_walk.h"

namespace tenon {
namespace {

// They read a tensor for its shape and dtype only.
constexpr std::array<std::string_view, 12> kShapeOnly = {
    "aten::zeros_like", "aten::ones_like",  "aten::empty_like", "aten::full_like",
    "aten::rand_like",  "aten::randn_like", "aten::new_zeros",  "aten::new_ones",
    "aten::new_full",   "aten::new_empty",  "aten::sym_size",   "aten::sym_numel"};

constexpr std::array<std::string_view, 16> kComparisons = {
    "aten::eq",         "aten::ne",          "aten::lt",          "aten::le",
    "aten::gt",         "aten::ge",          "aten::isnan",       "aten::isinf",
    "aten::isfinite",   "aten::isclose",     "aten::logical_not", "aten::logical_and",
    "aten::logical_or", "aten::logical_xor", "aten::heaviside",   "aten::sign"};
constexpr std::array<std::string_view, 6> kRounding = {
    "aten::round", "aten::floor", "aten::ceil", "aten::trunc", "aten::fix", "aten::floor_divide"};
constexpr std::array<std::string_view, 10> kPositions = {
    "aten::argmax",    "aten::argmin",       "aten::argsort", "aten::nonzero", "aten::one_hot",
    "aten::bucketize", "aten::searchsorted", "aten::unique",  "aten::item",    "aten::multinomial"};
constexpr std::array<std::string_view, 2> kDrawn = {"aten::bernoulli", "aten::poisson"};
// Of these the first result has a gradient, the second says where it was found.
constexpr std::array<std::string_view, 9> kValuesAndPlaces = {
    "aten::topk", "aten::sort",   "aten::max",    "aten::min",   "aten::kthvalue",
    "aten::mode", "aten::median", "aten::cummax", "aten::cummin"};

// In place or not.
template <std::size_t N>
bool is_listed(const std::array<std::string_view, N>& names, std::string_view target) {
  if (target.ends_with('_')) target.remove_suffix(1);
  return std::ranges::find(names, target) != names.end();
}

const c10::IValue* constant_of(const Node& node, std::string_view name) {
  const auto argument = std::ranges::find(node.arguments, name, &NamedArgument::name);
  return argument == node.arguments.end() ? nullptr
                                          : std::get_if<c10::IValue>(&argument->value.value);
}

bool casts_to_whole_numbers(const Node& node) {
  if (node.target != "aten::to" && node.target != "aten::_to_copy") return false;
  const c10::IValue* dtype = constant_of(node, "dtype");
  return dtype != nullptr && dtype->isInt() &&
         c10::isIntegralType(static_cast<at::ScalarType>(dtype->toInt()), /*includeBool=*/true);
}

bool rounds(const Node& node) {
  if (is_listed(kRounding, node.target)) return true;
  const c10::IValue* mode = constant_of(node, "rounding_mode");
  return mode != nullptr && mode->isString();
}

// Why no gradient passes the operator; "" if it does.
std::string why_none_passes(const Graph& graph, const Node& node) {
  if (!has_gradients(graph, node.context)) {
    return "which the model's code runs without gradients (torch.no_grad)";
  }
  if (node.target == "aten::detach" || node.target == "aten::detach_") return "which cuts it off";
  if (is_listed(kComparisons, node.target) || node.target.starts_with("aten::bitwise_") ||
      node.target == "aten::sgn") {
    return "a comparison";
  }
  if (rounds(node)) return "which rounds";
  if (casts_to_whole_numbers(node)) return "a cast to whole numbers";
  if (is_listed(kPositions, node.target)) return "which gives places, not values";
  if (is_listed(kDrawn, node.target)) return "a random draw";
  return "";
}

std::string forward_of(const ModelData& model, const Node& node) {
  const ModuleId module = node.module_stack.empty() ? 0 : node.module_stack.back();
  const std::string& path = model.tree.at(module).path;
  return path.empty() ? "the model's own forward" : "`" + path + "`";
}

// The results through which a gradient comes back.
template <typename Visit>
void for_each_smooth_result(const Graph& graph, const Node& node, const Visit& visit) {
  if (!why_none_passes(graph, node).empty()) return;
  const bool first_only = is_listed(kValuesAndPlaces, node.target);
  bool is_first = true;
  for_each_write(node, [&](ValueId id) {
    if (is_first || !first_only) visit(id);
    is_first = false;
  });
  // What is written in place is read again under its old name.
  if (!writes_in_place(node) || node.arguments.empty()) return;
  if (const auto* self = std::get_if<ValueId>(&node.arguments[0].value.value)) visit(*self);
}

template <typename Visit>
void for_each_result(const Node& node, const Visit& visit) {
  for_each_write(node, visit);
  if (!writes_in_place(node) || node.arguments.empty()) return;
  if (const auto* self = std::get_if<ValueId>(&node.arguments[0].value.value)) visit(*self);
}

}  // namespace

GradientEnds::GradientEnds(const ModelData& model)
    : model_(model),
      influences_(model.graph.values.size(), false),
      reached_(model.graph.values.size(), false) {
  const Graph& graph = model.graph;
  if (graph.outputs.empty()) return;
  for_each_value(graph.outputs.front(), [&](ValueId id) {
    influences_[static_cast<std::size_t>(id)] = true;
    reached_[static_cast<std::size_t>(id)] = true;
  });
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    if (is_listed(kShapeOnly, node.target)) continue;
    bool influences = false;
    bool reached = false;
    for_each_result(node, [&](ValueId id) {
      influences = influences || influences_[static_cast<std::size_t>(id)];
    });
    for_each_smooth_result(graph, node, [&](ValueId id) {
      reached = reached || reached_[static_cast<std::size_t>(id)];
    });
    for_each_read(node, [&](ValueId id) {
      const auto place = static_cast<std::size_t>(id);
      influences_[place] = influences_[place] || influences;
      reached_[place] = reached_[place] || reached;
    });
  }
}

bool GradientEnds::influences(const std::vector<Subgraph>& calls) const {
  return std::ranges::any_of(calls, [&](const Subgraph& call) {
    return std::ranges::any_of(call.outputs, [&](ValueId id) {
      return static_cast<bool>(influences_[static_cast<std::size_t>(id)]);
    });
  });
}

std::string GradientEnds::end_of(const std::vector<Subgraph>& calls) const {
  std::set<ValueId> made;  // of what the calls give
  for (const Subgraph& call : calls) {
    for (const ValueId id : call.outputs) {
      if (reached_[static_cast<std::size_t>(id)]) return "";
      if (influences_[static_cast<std::size_t>(id)]) made.insert(id);
    }
  }
  for (const Node& node : model_.graph.nodes) {
    bool reads = false;
    bool influences = false;
    for_each_read(node, [&](ValueId id) { reads = reads || made.contains(id); });
    for_each_result(node, [&](ValueId id) {
      influences = influences || influences_[static_cast<std::size_t>(id)];
    });
    if (!reads || !influences || is_listed(kShapeOnly, node.target)) continue;
    std::string why = why_none_passes(model_.graph, node);
    const bool gives_places = is_listed(kValuesAndPlaces, node.target) && why.empty();
    if (gives_places) why = "of which only the places are used";
    // Those of which the values are used pass it on.
    const bool passes =
        gives_places && std::ranges::any_of(node.results, [&](const Result& result) {
          return &result == &node.results.front() && !result.values.empty() &&
                 result.values[0] != kNoValue &&
                 influences_[static_cast<std::size_t>(result.values[0])];
        });
    if (why.empty() || passes) {
      for_each_result(node, [&](ValueId id) { made.insert(id); });
      continue;
    }
    if (node.in_function) why += ", in a torch.autograd.Function whose backward the export lost";
    return node.target + " in " + forward_of(model_, node) + ", " + why;
  }
  return "";
}

}  // namespace tenon
