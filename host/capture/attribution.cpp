#include "capture/attribution.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "capture/module_operators.h"
#include "capture/module_uses.h"
#include "graph/graph_walk.h"
#include "graph/tensor_names.h"

namespace tenon {
namespace {

std::size_t depth_of(const std::string& path) {
  if (path.empty()) return 0;
  return static_cast<std::size_t>(std::count(path.begin(), path.end(), '.')) + 1;
}

// Lists that hold modules and have no forward of their own.
bool only_holds(const std::string& type) {
  return type == "torch.nn.ModuleList" || type == "torch.nn.ModuleDict";
}

class Attribution {
 public:
  explicit Attribution(ModelData& model)
      : model_(model),
        uses_(model),
        owner_(model.graph.nodes.size(), kNoModule),
        call_(model.graph.nodes.size(), 0),
        producer_(model.graph.values.size(), -1) {
    for (std::size_t i = 0; i < model.graph.nodes.size(); ++i) {
      for_each_write(model.graph.nodes[i], [&](ValueId id) {
        producer_[static_cast<std::size_t>(id)] = static_cast<std::int32_t>(i);
      });
    }
  }

  void run() {
    claim_own_uses();
    claim_ways_between();
    write();
  }

 private:
  using Nodes = std::vector<std::int32_t>;

  void claim_own_uses() {
    for (std::size_t id = 0; id < model_.tree.modules.size(); ++id) {
      const auto module = static_cast<ModuleId>(id);
      const std::vector<ModuleCall> calls = uses_.calls(module);
      for (std::size_t c = 0; c < calls.size(); ++c) {
        for (const std::int32_t node : calls[c]) claim(node, module, static_cast<std::int32_t>(c));
      }
    }
  }

  void claim(std::int32_t node, ModuleId module, std::int32_t call) {
    owner_[static_cast<std::size_t>(node)] = module;
    call_[static_cast<std::size_t>(node)] = call;
  }

  // The deepest first, so that what lies inside a layer is its own before it is its parent's.
  void claim_ways_between() {
    std::vector<ModuleId> order;
    for (std::size_t id = 1; id < model_.tree.modules.size(); ++id) {
      order.push_back(static_cast<ModuleId>(id));
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](ModuleId a, ModuleId b) { return depth_of(path(a)) > depth_of(path(b)); });
    for (const ModuleId module : order) {
      if (only_holds(model_.tree.at(module).type)) continue;
      const std::vector<Nodes> calls = calls_below(module);
      for (std::size_t c = 0; c < calls.size(); ++c) {
        for (const std::int32_t node : between(calls[c])) {
          if (owner_[static_cast<std::size_t>(node)] == kNoModule) {
            claim(node, module, static_cast<std::int32_t>(c));
          }
        }
      }
    }
  }

  const std::string& path(ModuleId module) const { return model_.tree.at(module).path; }

  bool is_below(ModuleId module, ModuleId ancestor) const {
    return module == ancestor || path(module).starts_with(path(ancestor) + ".");
  }

  // The nodes of a module and what lies in it, call by call where all of it is called equally
  // often.
  std::vector<Nodes> calls_below(ModuleId module) const {
    std::map<ModuleId, std::int32_t> call_counts;
    for (std::size_t i = 0; i < owner_.size(); ++i) {
      if (owner_[i] == kNoModule || !is_below(owner_[i], module)) continue;
      std::int32_t& count = call_counts[owner_[i]];
      count = std::max(count, call_[i] + 1);
    }
    if (call_counts.empty()) return {};
    const std::int32_t count = call_counts.begin()->second;
    const bool even = std::all_of(call_counts.begin(), call_counts.end(),
                                  [&](const auto& entry) { return entry.second == count; });
    std::vector<Nodes> calls(even ? static_cast<std::size_t>(count) : 1);
    for (std::size_t i = 0; i < owner_.size(); ++i) {
      if (owner_[i] == kNoModule || !is_below(owner_[i], module)) continue;
      calls[even ? static_cast<std::size_t>(call_[i]) : 0].push_back(static_cast<std::int32_t>(i));
    }
    return calls;
  }

  // The nodes that depend on one of these, and that one of these depends on.
  Nodes between(const Nodes& ends) const {
    const auto first = static_cast<std::size_t>(ends.front());
    const auto last = static_cast<std::size_t>(ends.back());
    std::vector<bool> is_end(last - first + 1, false);
    for (const std::int32_t node : ends) is_end[static_cast<std::size_t>(node) - first] = true;
    std::vector<bool> after(last - first + 1, false);
    for (std::size_t i = first; i <= last; ++i) {
      for_each_input(i, [&](std::size_t from) {
        if (from >= first && (is_end[from - first] || after[from - first])) after[i - first] = true;
      });
    }
    std::vector<bool> needed(last - first + 1, false);
    Nodes found;
    for (std::size_t i = last + 1; i-- > first;) {
      if (is_end[i - first] || needed[i - first]) {
        for_each_input(i, [&](std::size_t from) {
          if (from >= first) needed[from - first] = true;
        });
      }
      if (after[i - first] && needed[i - first]) found.push_back(static_cast<std::int32_t>(i));
    }
    return found;
  }

  template <typename Visit>
  void for_each_input(std::size_t node, const Visit& visit) const {
    for_each_read(model_.graph.nodes[node], [&](ValueId id) {
      const std::int32_t from = producer_[static_cast<std::size_t>(id)];
      if (from >= 0) visit(static_cast<std::size_t>(from));
    });
  }

  void write() {
    for (std::size_t i = 0; i < model_.graph.nodes.size(); ++i) {
      Node& node = model_.graph.nodes[i];
      node.module_stack = {0};
      node.call_index = call_[i];
      if (owner_[i] == kNoModule || owner_[i] == 0) continue;
      std::vector<ModuleId> inner_first;
      for (std::string at = path(owner_[i]); !at.empty(); at = std::string(parent_path(at))) {
        inner_first.push_back(model_.tree.find(at));
      }
      node.module_stack.insert(node.module_stack.end(), inner_first.rbegin(), inner_first.rend());
    }
    for (const Node& node : model_.graph.nodes) {
      for (const ModuleId module : node.module_stack) {
        model_.tree.at(module).runs = true;
      }
    }
    for (Module& module : model_.tree.modules) {
      if (module.runs || module.path.empty() || uses_.has_tensors(module.path)) continue;
      module.runs = model_.tree.at(model_.tree.find(parent_path(module.path))).runs;
    }
  }

  ModelData& model_;
  ModuleUses uses_;
  std::vector<ModuleId> owner_;         // by node: the innermost module
  std::vector<std::int32_t> call_;      // by node
  std::vector<std::int32_t> producer_;  // by value
};

}  // namespace

void attribute_nodes(ModelData& model) { Attribution(model).run(); }

}  // namespace tenon
