#include "capture/module_uses.h"

#include <algorithm>
#include <map>
#include <set>

#include "capture/module_operators.h"
#include "graph/graph_walk.h"
#include "graph/tensor_names.h"

namespace tenon {
namespace {

// What makes one read like another: operator, tensor and constants.
std::string read_text(const Node& node, std::int32_t tensor) {
  std::string text = node.target + "." + node.overload + " " + std::to_string(tensor);
  for (const NamedArgument& argument : node.arguments) {
    const auto* constant = std::get_if<c10::IValue>(&argument.value.value);
    if (constant != nullptr && !constant->isGenerator()) text += " " + c10::str(*constant);
  }
  return text;
}

}  // namespace

ModuleUses::ModuleUses(const ModelData& model)
    : model_(model),
      owners_(model.tensors.size()),
      reads_(model.tree.modules.size()),
      producer_(model.graph.values.size(), -1),
      made_of_(model.graph.values.size(), kNoModule),
      user_(model.graph.nodes.size(), kNoModule) {
  find_owners();
  follow_weights();
}

bool ModuleUses::has_tensors(const std::string& path) const {
  const ModuleId module = model_.tree.find(path);
  return std::any_of(owners_.begin(), owners_.end(), [&](const auto& owners) {
    return std::find(owners.begin(), owners.end(), module) != owners.end();
  });
}

void ModuleUses::find_owners() {
  for (std::size_t i = 0; i < model_.tensors.size(); ++i) {
    const ModelTensor& tensor = model_.tensors[i];
    if (tensor.kind == ValueKind::kConstant) continue;
    for (const std::string& name : all_names(tensor)) {
      const ModuleId module = model_.tree.find(parent_path(name));
      if (module != kNoModule) owners_[i].push_back(module);
    }
  }
}

// Forward through the graph: who reads whose parameters, and what is made of them alone.
void ModuleUses::follow_weights() {
  for (std::size_t i = 0; i < model_.graph.nodes.size(); ++i) {
    const Node& node = model_.graph.nodes[i];
    const auto index = static_cast<std::int32_t>(i);
    std::vector<std::int32_t> tensors;
    std::vector<ModuleId> makers;
    bool weights_only = true;
    for_each_read(node, [&](ValueId id) {
      const Value& value = model_.graph.values[static_cast<std::size_t>(id)];
      const ModuleId maker = made_of_[static_cast<std::size_t>(id)];
      const bool owned =
          value.tensor >= 0 && !owners_[static_cast<std::size_t>(value.tensor)].empty();
      if (owned) tensors.push_back(value.tensor);
      if (maker != kNoModule) makers.push_back(maker);
      if (!owned && maker == kNoModule && value.kind != ValueKind::kConstant) weights_only = false;
    });
    for_each_write(node, [&](ValueId id) { producer_[static_cast<std::size_t>(id)] = index; });
    ModuleId user = choose_owner(tensors, node);
    if (user == kNoModule && !makers.empty() &&
        is_own_operator(model_.tree.at(makers.front()).type, node)) {
      user = makers.front();
    }
    if (user == kNoModule) continue;
    user_[i] = user;
    for (const std::int32_t tensor : tensors) {
      const auto& owners = owners_[static_cast<std::size_t>(tensor)];
      if (std::find(owners.begin(), owners.end(), user) != owners.end()) {
        reads_[static_cast<std::size_t>(user)].push_back({index, tensor});
      }
    }
    if (!weights_only) continue;
    for_each_write(node, [&](ValueId id) { made_of_[static_cast<std::size_t>(id)] = user; });
  }
}

// Of the modules that own what the node reads: whose operator it is, then who owns most of it.
ModuleId ModuleUses::choose_owner(const std::vector<std::int32_t>& tensors,
                                  const Node& node) const {
  std::map<ModuleId, int> votes;
  for (const std::int32_t tensor : tensors) {
    for (const ModuleId module : owners_[static_cast<std::size_t>(tensor)]) {
      if (is_own_operator(model_.tree.at(module).type, node)) {
        ++votes[module];
      }
    }
  }
  ModuleId best = kNoModule;
  for (const auto& [module, count] : votes) {
    if (best == kNoModule || count > votes.at(best)) best = module;
  }
  return best;
}

// The reads at which a new call begins.
std::vector<std::size_t> ModuleUses::call_starts(ModuleId module,
                                                 const std::vector<Read>& reads) const {
  std::vector<std::size_t> starts{0};
  if (reads_parameters_once(model_.tree.at(module).type)) {
    std::set<std::int32_t> read;
    for (std::size_t i = 0; i < reads.size(); ++i) {
      const bool within = i > 0 && reads[i].node == reads[i - 1].node;
      if (!within && read.contains(reads[i].tensor)) {
        starts.push_back(i);
        read.clear();
      }
      read.insert(reads[i].tensor);
    }
    return starts;
  }
  // Else the calls are the shortest stretch of reads that repeats.
  std::vector<std::string> texts;
  for (const Read& read : reads) {
    texts.push_back(
        read_text(model_.graph.nodes[static_cast<std::size_t>(read.node)], read.tensor));
  }
  for (std::size_t period = 1; period < texts.size(); ++period) {
    if (texts.size() % period != 0) continue;
    bool repeats = true;
    for (std::size_t i = period; i < texts.size() && repeats; ++i) {
      repeats = texts[i] == texts[i - period];
    }
    if (!repeats) continue;
    for (std::size_t at = period; at < texts.size(); at += period) starts.push_back(at);
    break;
  }
  return starts;
}

std::vector<ModuleCall> ModuleUses::calls(ModuleId module) const {
  const std::vector<Read>& reads = reads_[static_cast<std::size_t>(module)];
  if (reads.empty()) return {};
  const std::vector<std::size_t> starts = call_starts(module, reads);
  std::vector<ModuleCall> calls(starts.size());
  std::map<std::int32_t, std::size_t> call_of;  // of the nodes that read, and what they make
  for (std::size_t c = 0; c < starts.size(); ++c) {
    const std::size_t end = c + 1 < starts.size() ? starts[c + 1] : reads.size();
    for (std::size_t i = starts[c]; i < end; ++i) call_of[reads[i].node] = c;
  }
  // A node that reads only what was made of the weights belongs to the call that made it.
  for (std::size_t i = 0; i < user_.size(); ++i) {
    const auto node = static_cast<std::int32_t>(i);
    if (user_[i] != module || call_of.contains(node)) continue;
    for_each_read(model_.graph.nodes[i], [&](ValueId id) {
      const std::int32_t from = producer_[static_cast<std::size_t>(id)];
      const bool is_weight = made_of_[static_cast<std::size_t>(id)] == module;
      if (is_weight && call_of.contains(from)) call_of[node] = call_of.at(from);
    });
  }
  for (const auto& [node, call] : call_of) calls[call].push_back(node);
  return calls;
}

}  // namespace tenon
