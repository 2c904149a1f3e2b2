#include "capture/generalise.h"

#include <algorithm>
#include <map>

#include "graph/graph_walk.h"
#include "interpreter/mode_flags.h"

namespace tenon {
namespace {

std::vector<std::int64_t> integers_at(const std::vector<Recording>& runs,
                                      const ConstantPlace& place) {
  std::vector<std::int64_t> values;
  values.reserve(runs.size());
  for (const Recording& run : runs) values.push_back(constant_at(run.graph, place).toInt());
  return values;
}

std::vector<std::size_t> runs_that_differ(const std::vector<Recording>& runs,
                                          const ConstantPlace& place) {
  const c10::IValue first = constant_at(runs.front().graph, place);
  std::vector<std::size_t> others;
  for (std::size_t i = 1; i < runs.size(); ++i) {
    if (constant_at(runs[i].graph, place) != first) others.push_back(i);
  }
  return others;
}

// An argument that takes an integer of the graph instead of the constant.
void replace_constant(Argument& argument, std::int32_t item, ValueId number) {
  if (item < 0) {
    argument = {number};
    return;
  }
  if (const auto* constant = std::get_if<c10::IValue>(&argument.value)) {
    Argument::List list;
    for (const std::int64_t each : constant->toIntVector())
      list.items.push_back({c10::IValue(each)});
    argument = {std::move(list)};
  }
  std::get<Argument::List>(argument.value).items[static_cast<std::size_t>(item)] = {number};
}

std::string values_text(const std::vector<std::int64_t>& values) {
  std::string text;
  for (const std::int64_t value : values)
    text += (text.empty() ? "" : ", ") + std::to_string(value);
  return text;
}

// "aten::equal" of a tensor with itself is no question.
bool asks_itself(const Node& node) {
  if (node.target != "aten::equal" || node.arguments.size() != 2) return false;
  const auto* one = std::get_if<ValueId>(&node.arguments[0].value.value);
  const auto* other = std::get_if<ValueId>(&node.arguments[1].value.value);
  return one != nullptr && other != nullptr && *one == *other;
}

// Number results must come out as they were, or the model's C++ code would have gone another way.
void append_checks(Graph& graph, const Node& node, const Recording& run, std::size_t index) {
  for_each_write(node, [&](ValueId id) {
    const auto& number = run.numbers[static_cast<std::size_t>(id)];
    if (!number) return;
    Node check;
    check.target = "tenon.expect";
    check.arguments = {
        {"", {id}}, {"", {*number}}, {"", {c10::IValue(place_text(run.graph, index))}}};
    graph.nodes.push_back(std::move(check));
  });
}

}  // namespace

std::variant<General, NotGeneral> generalise(const std::vector<Recording>& runs,
                                             const std::vector<SizeSymbol>& symbols,
                                             const std::vector<ModelTensor>& tensors) {
  const Recording& base = runs.front();
  std::vector<ConstantPlace> places;
  for (std::size_t i = 1; i < runs.size(); ++i) {
    const Alignment alignment = align(base, runs[i], tensors);
    if (alignment.parting) return NotGeneral{alignment.parting->node, alignment.parting->what, {i}};
    for (const ConstantPlace& place : alignment.differing) {
      if (std::find(places.begin(), places.end(), place) == places.end()) places.push_back(place);
    }
  }
  std::sort(places.begin(), places.end(),
            [](const auto& a, const auto& b) { return a.node < b.node; });

  General general;
  general.graph = base.graph;
  general.graph.nodes.clear();
  SizeExpressions expressions(runs, symbols, general.graph);
  std::vector<Node> nodes = base.graph.nodes;
  for (const ConstantPlace& place : places) {
    NamedArgument& argument = nodes[place.node].arguments[place.argument];
    const c10::IValue constant = constant_at(base.graph, place);
    if (!constant.isInt()) {
      return NotGeneral{place.node,
                        "argument `" + argument.name + "`, which is no whole number, differs",
                        runs_that_differ(runs, place)};
    }
    const std::vector<std::int64_t> values = integers_at(runs, place);
    const auto number = expressions.find(values, place.node);
    if (!number) {
      return NotGeneral{place.node,
                        "argument `" + argument.name + "` was " + values_text(values) +
                            ", which is no function of the sizes that Tenon finds",
                        runs_that_differ(runs, place)};
    }
    replace_constant(argument.value, place.item, *number);
  }

  general.graph.nodes = std::move(expressions.at_start);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (Node& node : expressions.before[i]) general.graph.nodes.push_back(std::move(node));
    general.positions.push_back(general.graph.nodes.size());
    if (asks_itself(nodes[i])) continue;
    general.graph.nodes.push_back(nodes[i]);
    append_checks(general.graph, nodes[i], base, i);
  }
  return general;
}

std::optional<Parting> add_training(General& general, const Recording& evaluation,
                                    const Recording& training,
                                    const std::vector<ModelTensor>& tensors) {
  const Alignment alignment = align(evaluation, training, tensors);
  if (alignment.parting) return alignment.parting;
  for (const auto& [place, value] : alignment.meant) {
    const bool is_output = place.node == evaluation.graph.nodes.size();
    Argument& argument =
        is_output
            ? general.graph.outputs[place.argument]
            : general.graph.nodes[general.positions[place.node]].arguments[place.argument].value;
    if (place.item < 0) {
      argument = {value};
    } else {
      std::get<Argument::List>(argument.value).items[static_cast<std::size_t>(place.item)] = {
          value};
    }
  }
  std::map<std::size_t, bool> follows;  // by node of the evaluation run
  for (const ConstantPlace& place : alignment.differing) {
    const Node& node = evaluation.graph.nodes[place.node];
    const NamedArgument& argument = node.arguments[place.argument];
    if (!mode_flag(node, argument.name)) {
      return Parting{place.node, "argument `" + argument.name + "` differs"};
    }
    follows[place.node] = true;
    const Node& partner = training.graph.nodes[alignment.partners[place.node]];
    general.graph.nodes[general.positions[place.node]].arguments[place.argument].value =
        partner.arguments[place.argument].value;
  }
  for (std::size_t i = 0; i < evaluation.graph.nodes.size(); ++i) {
    if (asks_itself(evaluation.graph.nodes[i])) continue;
    general.graph.nodes[general.positions[i]].ignores_mode = !follows.contains(i);
  }

  // From the last, so that the positions of those before stay what they are.
  for (auto counter = alignment.counters.rbegin(); counter != alignment.counters.rend();
       ++counter) {
    Node node = training.graph.nodes[*counter];
    node.context = 0;  // contexts are numbered in each run; a count has no gradient anyway
    const auto next = std::find_if(alignment.partners.begin(), alignment.partners.end(),
                                   [&](std::size_t partner) { return partner > *counter; });
    for_each_write(node, [&](ValueId& id) {
      Value value = training.graph.values[static_cast<std::size_t>(id)];
      id = static_cast<ValueId>(general.graph.values.size());
      general.graph.values.push_back(std::move(value));
    });
    const std::size_t at =
        next == alignment.partners.end()
            ? general.graph.nodes.size()
            : general.positions[static_cast<std::size_t>(next - alignment.partners.begin())];
    general.graph.nodes.insert(general.graph.nodes.begin() + static_cast<std::ptrdiff_t>(at),
                               std::move(node));
  }
  return std::nullopt;
}

}  // namespace tenon
