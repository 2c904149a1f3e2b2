#include "pt2/pt2_inputs.h"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "base/log.h"

namespace tenon::pt2 {
namespace {

// A leaf of the tree has the type null.
std::size_t count_leaves(const Json& tree) {
  if (tree.at("type").is_null()) return 1;
  std::size_t leaves = 0;
  for (const Json& child : tree.at("children_spec")) leaves += count_leaves(child);
  return leaves;
}

// The argument's name for each leaf; "" for leaves of a container. The tree is
// [version, (positional arguments, keyword arguments)].
std::vector<std::string> leaf_names(const Program& program) {
  std::vector<std::string> names;
  std::size_t argument = 0;
  const Json document = parse_json(program.argument_tree, {.stage = Stage::kModel});
  for (const Json& group : document.at(1).at("children_spec")) {
    for (const Json& tree : group.at("children_spec")) {
      const std::size_t leaves = count_leaves(tree);
      const std::string& name = program.argument_names.at(argument++);
      names.insert(names.end(), leaves, tree.at("type").is_null() ? name : "");
    }
  }
  return names;
}

bool is_user_input(const pt2::InputSpec& input) {
  return input.kind == InputKind::kUser || input.kind == InputKind::kNumber ||
         input.kind == InputKind::kFixed;
}

// Names are a help for callers and messages: where they do not fit the inputs there are none.
std::vector<std::string> argument_names(const Program& program) {
  try {
    return leaf_names(program);
  } catch (const std::exception&) {
    return {};
  }
}

DimensionSpec describe(const Dimension& dimension, const Program& program, ProblemList& problems) {
  DimensionSpec result;
  if (dimension.expression.empty()) {
    result.fixed = dimension.size;
    return result;
  }
  const auto expression = SizeExpression::parse(dimension.expression);
  if (!expression) {
    problems.add("the size `" + dimension.expression + "` of an input is not understood");
    return result;
  }
  if (!expression->is_variable()) {
    result.derived = std::make_shared<const SizeExpression>(*expression);
    return result;
  }
  result.symbol = expression->variables().front().name;
  const auto bounds = program.symbols.find(result.symbol);
  if (bounds == program.symbols.end()) return result;
  // The exporter never lets a dynamic size be 0 or 1 while it traces: a minimum of 2 is not the
  // model's own.
  const std::int64_t minimum = bounds->second.minimum.value_or(0);
  result.minimum = minimum <= 2 ? 0 : minimum;
  result.maximum = bounds->second.maximum.value_or(-1);
  return result;
}

// What the export took for granted of a whole number among the inputs, as guards.
void add_guards(const std::string& name, const Dimension& number, const Program& program,
                std::vector<SizeExpression>& guards) {
  const std::string input = "L['" + name + "']";
  const auto add = [&](const std::string& code) {
    if (auto guard = SizeExpression::parse(code)) guards.push_back(std::move(*guard));
  };
  if (number.expression.empty()) return add(input + " == " + std::to_string(number.size));
  add(input + " == " + number.expression);
  const auto expression = SizeExpression::parse(number.expression);
  if (!expression || !expression->is_variable()) return;
  const auto bounds = program.symbols.find(expression->variables().front().name);
  if (bounds == program.symbols.end()) return;
  // 2 is the exporter's own, as for sizes.
  if (bounds->second.minimum.value_or(0) > 2) {
    add(input + " >= " + std::to_string(*bounds->second.minimum));
  }
  if (bounds->second.maximum) add(input + " <= " + std::to_string(*bounds->second.maximum));
}

}  // namespace

std::vector<tenon::InputSpec> describe_inputs(const Program& program, ProblemList& problems) {
  std::vector<std::string> names = argument_names(program);
  const auto expected = static_cast<std::size_t>(
      std::count_if(program.inputs.begin(), program.inputs.end(), is_user_input));
  if (names.size() != expected) names.assign(expected, "");
  std::vector<tenon::InputSpec> result;
  std::size_t leaf = 0;
  for (const pt2::InputSpec& input : program.inputs) {
    if (!is_user_input(input)) continue;
    const std::string& name = names[leaf++];
    if (input.kind == InputKind::kFixed) continue;
    if (input.kind == InputKind::kNumber) {
      result.push_back({input.placeholder, name, at::kLong, true, {}});
      if (!program.graph.input_numbers.contains(input.placeholder)) {
        problems.add("input `" + input.placeholder + "` has no description of its value");
      }
      continue;
    }
    const auto meta = program.graph.input_metas.find(input.placeholder);
    if (meta == program.graph.input_metas.end()) {
      problems.add("input `" + input.placeholder + "` has no description of its shape");
      continue;
    }
    tenon::InputSpec& added = result.emplace_back();
    added.name = input.placeholder;
    added.argument_name = name;
    added.dtype = meta->second.dtype;
    added.checked = true;
    for (const Dimension& size : meta->second.sizes) {
      added.dimensions.push_back(describe(size, program, problems));
    }
  }
  return result;
}

std::vector<SizeExpression> read_guards(const Program& program) {
  std::vector<SizeExpression> guards;
  for (const std::string& code : program.guards) {
    if (auto guard = SizeExpression::parse(code)) {
      guards.push_back(std::move(*guard));
    } else {
      log::debug("a condition of this export cannot be checked on inputs: " + code);
    }
  }
  for (const auto& [name, number] : program.graph.input_numbers) {
    add_guards(name, number, program, guards);
  }
  return guards;
}

}  // namespace tenon::pt2
