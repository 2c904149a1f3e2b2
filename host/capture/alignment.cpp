#include "capture/alignment.h"

#include <ATen/ATen.h>

#include <bit>
#include <cstring>
#include <unordered_map>

#include "graph/graph_walk.h"
#include "graph/tensor_names.h"
#include "interpreter/mode_flags.h"

namespace tenon {
namespace {

// Bit for bit; NaNs of the same bits are the same.
bool same_bytes(const at::Tensor& one, const at::Tensor& other) {
  if (one.sizes() != other.sizes() || one.scalar_type() != other.scalar_type()) return false;
  if (!one.device().is_cpu() || one.layout() != at::kStrided) return at::equal(one, other);
  const at::Tensor a = one.contiguous();
  const at::Tensor b = other.contiguous();
  return std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

std::string text_of(const c10::IValue& value) {
  if (value.isInt()) return std::to_string(value.toInt());
  if (value.isBool()) return value.toBool() ? "true" : "false";
  return c10::str(value);
}

class Aligner {
 public:
  Aligner(const Recording& one, const Recording& other, const std::vector<ModelTensor>& tensors,
          bool contiguous_may_lack)
      : one_(one), other_(other), tensors_(tensors), contiguous_may_lack_(contiguous_may_lack) {
    const std::size_t fixed = one.model_tensor_count + one.graph.inputs.size();
    for (std::size_t i = 0; i < fixed; ++i) {
      pair(static_cast<ValueId>(i), static_cast<ValueId>(i));
    }
  }

  Alignment run() {
    std::size_t j = 0;
    for (std::size_t i = 0; i < one_.graph.nodes.size() && !result_.parting; ++i) {
      const auto counts = [&](std::size_t k) {
        return k < other_.graph.nodes.size() &&
               counts_batches(other_.graph.nodes[k], other_.graph, tensors_);
      };
      const bool counted_too = counts_batches(one_.graph.nodes[i], one_.graph, tensors_);
      while (!counted_too && counts(j)) result_.counters.push_back(j++);
      if (skip_contiguous(one_.graph.nodes[i], j)) continue;
      if (j >= other_.graph.nodes.size()) {
        part(i, "this run has " + operator_text(one_.graph.nodes[i]) + ", the other run ends");
        break;
      }
      compare(i, one_.graph.nodes[i], other_.graph.nodes[j]);
      result_.partners.push_back(j++);
    }
    while (j < other_.graph.nodes.size() &&
           counts_batches(other_.graph.nodes[j], other_.graph, tensors_)) {
      result_.counters.push_back(j++);
    }
    const std::size_t end = one_.graph.nodes.size();
    if (!result_.parting && j < other_.graph.nodes.size()) {
      part(end, "this run ends, the other has " + operator_text(other_.graph.nodes[j]));
    }
    if (!result_.parting &&
        !same_arguments({end, 0, -1}, one_.graph.outputs, other_.graph.outputs)) {
      part(end, "the outputs come from other operators");
    }
    return std::move(result_);
  }

 private:
  void part(std::size_t node, std::string what) { result_.parting = {node, std::move(what)}; }

  // Takes the result of a first run's "aten::contiguous" for its input, if the other run has none.
  bool skip_contiguous(const Node& node, std::size_t j) {
    const auto& others = other_.graph.nodes;
    if (!contiguous_may_lack_ || node.target != "aten::contiguous" ||
        (j < others.size() && others[j].target == node.target)) {
      return false;
    }
    const auto* input = std::get_if<ValueId>(&node.arguments[0].value.value);
    const auto known = input == nullptr ? partner_.end() : partner_.find(*input);
    if (known == partner_.end()) return false;
    pair(node.results[0].values[0], known->second);
    return true;
  }

  void compare(std::size_t index, const Node& a, const Node& b) {
    if (a.target != b.target || a.overload != b.overload) {
      return part(index, operator_text(a) + " in one run, " + operator_text(b) + " in the other");
    }
    if (a.context != b.context) {
      return part(index, "gradients are on in one run and off in the other");
    }
    if (a.arguments.size() != b.arguments.size()) return part(index, "other arguments");
    for (std::size_t k = 0; k < a.arguments.size(); ++k) {
      if (!same_argument({index, k, -1}, a.arguments[k].value, b.arguments[k].value)) {
        return part(index, "argument `" + a.arguments[k].name + "` is not the same thing" +
                               constants_text(a.arguments[k].value, b.arguments[k].value));
      }
    }
    compare_results(index, a, b);
  }

  static std::string constants_text(const Argument& a, const Argument& b) {
    const auto* one = std::get_if<c10::IValue>(&a.value);
    const auto* other = std::get_if<c10::IValue>(&b.value);
    if (one == nullptr || other == nullptr) return " in both runs";
    return ": " + text_of(*one) + " in one run, " + text_of(*other) + " in the other";
  }

  void compare_results(std::size_t index, const Node& a, const Node& b) {
    if (a.results.size() != b.results.size()) return part(index, "another number of results");
    for (std::size_t r = 0; r < a.results.size(); ++r) {
      const auto& one = a.results[r].values;
      const auto& other = b.results[r].values;
      if (one.size() != other.size()) {
        return part(index, std::to_string(one.size()) + " results in one run, " +
                               std::to_string(other.size()) + " in the other");
      }
      for (std::size_t v = 0; v < one.size(); ++v) {
        if ((one[v] == kNoValue) != (other[v] == kNoValue)) return part(index, "other results");
        pair(one[v], other[v]);
        compare_numbers(index, one[v], other[v]);
      }
    }
  }

  // A number that the model reads out of a tensor goes into its C++ code, where nothing can follow
  // it.
  void compare_numbers(std::size_t index, ValueId one, ValueId other) {
    if (one == kNoValue || !one_.numbers[static_cast<std::size_t>(one)]) return;
    const c10::IValue& a = *one_.numbers[static_cast<std::size_t>(one)];
    const c10::IValue& b = *other_.numbers[static_cast<std::size_t>(other)];
    if (same_constant(a, b)) return;
    part(index, "it reads a number out of a tensor, " + text_of(a) + " in one run and " +
                    text_of(b) + " in the other, and what the model does with it cannot be seen");
  }

  // Of outputs, or of the items of one list.
  bool same_arguments(ConstantPlace place, const std::vector<Argument>& a,
                      const std::vector<Argument>& b) {
    if (a.size() != b.size()) return false;
    const bool are_items = place.node < one_.graph.nodes.size();
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (are_items) {
        place.item = static_cast<std::int32_t>(i);
      } else {
        place.argument = i;
      }
      if (!same_argument(place, a[i], b[i])) return false;
    }
    return true;
  }

  bool same_argument(const ConstantPlace& place, const Argument& a, const Argument& b) {
    if (a.value.index() != b.value.index()) return false;
    if (const auto* id = std::get_if<ValueId>(&a.value)) {
      return same_value(place, *id, std::get<ValueId>(b.value));
    }
    if (const auto* list = std::get_if<Argument::List>(&a.value)) {
      return same_arguments(place, list->items, std::get<Argument::List>(b.value).items);
    }
    if (const auto* constant = std::get_if<c10::IValue>(&a.value)) {
      return note_constants(place, *constant, std::get<c10::IValue>(b.value));
    }
    return true;
  }

  void pair(ValueId a, ValueId b) {
    partner_[a] = b;
    if (b != kNoValue) back_[b] = a;
  }

  // The tensor that a value is itself.
  static ValueId itself(const Recording& run, ValueId value) {
    while (run.given_back[static_cast<std::size_t>(value)] != kNoValue) {
      value = run.given_back[static_cast<std::size_t>(value)];
    }
    return value;
  }

  bool same_value(const ConstantPlace& place, ValueId a, ValueId b) {
    const auto known = partner_.find(a);
    if (known != partner_.end() && known->second == b) return true;
    if (known != partner_.end()) {
      if (itself(other_, known->second) == itself(other_, b)) return true;
      const auto meant = back_.find(b);
      if (meant == back_.end() || itself(one_, meant->second) != itself(one_, a)) return false;
      result_.meant.emplace_back(place, meant->second);
      return true;
    }
    const std::int32_t one = one_.graph.values[static_cast<std::size_t>(a)].tensor;
    const std::int32_t other = other_.graph.values[static_cast<std::size_t>(b)].tensor;
    if (one < 0 || other < 0) return false;
    pair(a, b);
    const Recording::Constant& x =
        one_.constants[static_cast<std::size_t>(one) - one_.model_tensor_count];
    const Recording::Constant& y =
        other_.constants[static_cast<std::size_t>(other) - other_.model_tensor_count];
    return (x.storage != nullptr && x.storage == y.storage) || same_bytes(x.tensor, y.tensor);
  }

  // Constants of one kind may differ: who asked says which difference has a meaning.
  bool note_constants(ConstantPlace place, const c10::IValue& a, const c10::IValue& b) {
    if (same_constant(a, b)) return true;
    if (a.isIntList() && b.isIntList()) {
      const auto one = a.toIntVector();
      const auto other = b.toIntVector();
      if (one.size() != other.size()) return false;
      for (std::size_t i = 0; i < one.size(); ++i) {
        if (one[i] == other[i]) continue;
        place.item = static_cast<std::int32_t>(i);
        result_.differing.push_back(place);
      }
      return true;
    }
    if (a.tagKind() != b.tagKind() || !(a.isInt() || a.isBool() || a.isDouble())) return false;
    result_.differing.push_back(place);
    return true;
  }

  static bool same_constant(const c10::IValue& a, const c10::IValue& b) {
    if (a.tagKind() != b.tagKind()) return false;
    if (a.isTensor()) return a.is(b);
    if (a.isDouble()) {
      return std::bit_cast<std::uint64_t>(a.toDouble()) ==
             std::bit_cast<std::uint64_t>(b.toDouble());
    }
    if (a.isGenerator()) return a.toGenerator() == b.toGenerator();
    return a == b;
  }

  const Recording& one_;
  const Recording& other_;
  const std::vector<ModelTensor>& tensors_;
  bool contiguous_may_lack_;
  std::unordered_map<ValueId, ValueId> partner_;  // in the other run
  std::unordered_map<ValueId, ValueId> back_;     // in the first
  Alignment result_;
};

// The module whose parameter a node reads; nullopt if it reads none.
std::optional<std::string> module_read(const Graph& graph, const Node& node) {
  std::optional<std::string> module;
  for_each_read(node, [&](ValueId id) {
    const Value& value = graph.values[static_cast<std::size_t>(id)];
    if (value.kind == ValueKind::kParameter || value.kind == ValueKind::kBuffer) {
      if (!module) module = parent_path(value.name);
    }
  });
  return module;
}

}  // namespace

Alignment align(const Recording& one, const Recording& other,
                const std::vector<ModelTensor>& tensors) {
  return Aligner(one, other, tensors, false).run();
}

std::optional<Parting> parting_of_one_row(const Recording& one, const Recording& other,
                                          const std::vector<ModelTensor>& tensors) {
  return Aligner(one, other, tensors, true).run().parting;
}

c10::IValue constant_at(const Graph& graph, const ConstantPlace& place) {
  const auto& constant =
      std::get<c10::IValue>(graph.nodes[place.node].arguments[place.argument].value.value);
  if (place.item < 0) return constant;
  return constant.toIntVector()[static_cast<std::size_t>(place.item)];
}

std::string place_text(const Graph& graph, std::size_t node) {
  if (node >= graph.nodes.size()) return "the end of its forward";
  const std::string text = operator_text(graph.nodes[node]) + ", operator " +
                           std::to_string(node + 1) + " of its forward";
  if (const auto own = module_read(graph, graph.nodes[node])) {
    return text + (own->empty() ? "" : ", in `" + *own + "`");
  }
  for (std::size_t i = node; i-- > 0;) {
    const auto before = module_read(graph, graph.nodes[i]);
    if (before && !before->empty()) return text + ", after `" + *before + "`";
  }
  return text;
}

}  // namespace tenon
