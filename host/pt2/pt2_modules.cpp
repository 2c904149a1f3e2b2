#include "pt2/pt2_modules.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "graph/tensor_names.h"
#include "pt2/module_paths.h"

namespace tenon::pt2 {
namespace {

// One module of a stack: "key,path,class". The key tells calls of one module apart ("...@1").
struct Frame {
  std::string key;
  std::string path;
  std::string type;
};

std::vector<Frame> parse_stack(std::string_view text) {
  std::vector<Frame> frames;
  while (!text.empty()) {
    const std::size_t end = text.find(';');
    const std::string_view entry = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const std::size_t type = entry.rfind(',');
    if (type == std::string_view::npos || type == 0) continue;
    const std::size_t path = entry.rfind(',', type - 1);
    if (path == std::string_view::npos) continue;
    frames.push_back({std::string(entry.substr(0, path)),
                      without_call_number(entry.substr(path + 1, type - path - 1)),
                      std::string(entry.substr(type + 1))});
  }
  return frames;
}

struct Stack {
  std::string text;
  std::vector<Frame> frames;
};

// Each different stack once, in the order in which nodes first have it.
void collect_stacks(const Graph& graph, std::unordered_set<std::string>& seen,
                    std::vector<Stack>& stacks) {
  for (const Node& node : graph.nodes) {
    if (!node.module_stack.empty() && seen.insert(node.module_stack).second) {
      stacks.push_back({node.module_stack, parse_stack(node.module_stack)});
    }
    for (const NamedArgument& input : node.inputs) {
      const auto* nested = std::get_if<std::shared_ptr<Graph>>(&input.value.value);
      if (nested != nullptr) collect_stacks(**nested, seen, stacks);
    }
  }
}

void check_depth(std::string_view path, const std::string& location) {
  // Far above any model; it bounds what a damaged name can cost.
  constexpr std::ptrdiff_t kDeepestModule = 100;
  if (std::count(path.begin(), path.end(), '.') <= kDeepestModule) return;
  throw Error{{.stage = Stage::kModel,
               .message = "a module or weight is nested more than 100 levels deep (`" +
                          std::string(path.substr(0, 60)) + "...`)",
               .hint = "The file is damaged: export the model again.",
               .location = location}};
}

ModulePaths collect_paths(const Program& program, const std::vector<Stack>& stacks,
                          const std::vector<ModelTensor>& tensors, const std::string& location) {
  ModulePaths paths;
  const auto insert = [&](std::string_view path) {
    check_depth(path, location);
    paths.insert(std::string(path));
  };
  for (const std::string& path : program.module_paths) {
    check_depth(path, location);
    paths.append(without_call_number(path));
  }
  for (const Stack& stack : stacks) {
    for (const Frame& frame : stack.frames) insert(frame.path);
  }
  for (const ModelTensor& tensor : tensors) {
    if (tensor.kind == ValueKind::kConstant) continue;
    for (const std::string& name : all_names(tensor)) insert(parent_path(name));
  }
  return paths;
}

using Types = std::unordered_map<std::string, std::string>;

Types collect_types(const std::vector<Stack>& stacks) {
  Types types;
  for (const Stack& stack : stacks) {
    for (const Frame& frame : stack.frames) types.try_emplace(frame.path, frame.type);
  }
  return types;
}

std::string type_of(const Types& types, const std::string& path) {
  const auto found = types.find(path);
  return found == types.end() ? "" : found->second;
}

using Holdings = std::map<std::string, std::size_t>;  // name below the module -> tensor

// What each module holds, itself and below.
std::unordered_map<std::string, Holdings> collect_holdings(
    const std::vector<ModelTensor>& tensors) {
  std::unordered_map<std::string, Holdings> holdings;
  const auto add = [&](const std::string& name, std::size_t tensor) {
    for (std::string_view path = name; !path.empty();) {
      path = parent_path(path);
      if (path.empty()) break;
      holdings[std::string(path)].emplace(name.substr(path.size() + 1), tensor);
    }
  };
  for (std::size_t index = 0; index < tensors.size(); ++index) {
    if (tensors[index].kind == ValueKind::kConstant) continue;
    add(tensors[index].name, index);
    for (const std::string& alias : tensors[index].aliases) add(alias, index);
  }
  return holdings;
}

void unite_by_tensors(const ModulePaths& paths, const std::vector<ModelTensor>& tensors,
                      const Types& types, SharedModules& shared) {
  const auto has_aliases = [](const ModelTensor& tensor) { return !tensor.aliases.empty(); };
  if (std::none_of(tensors.begin(), tensors.end(), has_aliases)) return;
  const auto holdings = collect_holdings(tensors);
  std::map<Holdings, std::string> first_with;
  for (const std::string& path : paths.list()) {
    const auto held = holdings.find(path);
    if (held == holdings.end() || held->second.size() < 2) continue;
    const auto [first, is_new] = first_with.try_emplace(held->second, path);
    if (is_new) continue;
    const std::string type = type_of(types, path);
    const std::string first_type = type_of(types, first->second);
    if (type.empty() || first_type.empty() || type == first_type) shared.unite(path, first->second);
  }
}

// A strict export keys its stacks by the Python object's number.
void unite_by_object(const std::vector<Stack>& stacks, SharedModules& shared) {
  std::unordered_map<std::string, std::string> first_with;
  for (const Stack& stack : stacks) {
    for (const Frame& frame : stack.frames) {
      const std::string key = without_call_number(frame.key);
      if (key.empty() || key.find_first_not_of("0123456789") != std::string::npos) continue;
      const auto [first, is_new] = first_with.try_emplace(key, frame.path);
      if (!is_new && first->second != frame.path) shared.unite(frame.path, first->second);
    }
  }
}

}  // namespace

ModuleMap::ModuleMap(const Program& program, const std::vector<ModelTensor>& tensors,
                     const std::string& location) {
  std::vector<Stack> stacks;
  std::unordered_set<std::string> seen;
  collect_stacks(program.graph, seen, stacks);
  const ModulePaths paths = collect_paths(program, stacks, tensors, location);
  const Types types = collect_types(stacks);
  SharedModules shared(paths.list());
  unite_by_object(stacks, shared);
  unite_by_tensors(paths, tensors, types, shared);

  std::unordered_map<std::string, ModuleId> ids;
  for (const std::string& path : paths.list()) {
    if (shared.first_name(path) != path) continue;
    ids.emplace(path, static_cast<ModuleId>(tree_.modules.size()));
    tree_.modules.push_back({path, "", false});
  }
  // Calls are numbered in the order in which their first nodes stand.
  std::map<std::pair<ModuleId, std::string>, std::int32_t> call_numbers;
  std::map<ModuleId, std::int32_t> calls;
  for (const Stack& stack : stacks) {
    Place& place = places_[stack.text];
    for (const Frame& frame : stack.frames) {
      const ModuleId id = ids.at(shared.first_name(frame.path));
      Module& module = tree_.at(id);
      module.runs = true;
      if (module.type.empty()) module.type = public_type_name(frame.type);
      place.stack.push_back(id);
    }
    if (place.stack.empty()) continue;
    const Frame& innermost = stack.frames.back();
    const auto [number, is_new] = call_numbers.try_emplace(
        {place.stack.back(), innermost.key + ',' + innermost.path}, calls[place.stack.back()]);
    if (is_new) ++calls[place.stack.back()];
    place.call_index = number->second;
  }
}

const Place& ModuleMap::place(const Node& node) const {
  const auto found = places_.find(node.module_stack);
  return found == places_.end() ? hoisted_ : found->second;
}

}  // namespace tenon::pt2
