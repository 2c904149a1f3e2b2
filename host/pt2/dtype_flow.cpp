#include "pt2/dtype_flow.h"

#include <algorithm>
#include <map>

#include "graph/graph_walk.h"
#include "pt2/cast_nodes.h"
#include "pt2/dtype_operators.h"
#include "pt2/value_uses.h"

namespace tenon {
namespace {

// What a value is once the weights are half.
enum class Width {
  kNone,  // no floating-point tensor
  kHalf,
  kWide,
  kHeld,  // wide as it is in the file, and so are its casts: they are no way back
};

Width plain(Width width) { return width == Width::kHeld ? Width::kWide : width; }

// A cast that changed nothing when it was exported: Python's `x` and `x.float()` were one object
// there, so that what reads x behind it seems to read the cast.
struct Widening {
  ValueId original = kNoValue;
  ModuleId module = kNoModule;  // where it stands
};

class HalfFlow {
 public:
  HalfFlow(ModelData& model, const std::vector<std::optional<pt2::RecordedTensor>>& recorded,
           at::ScalarType own, at::ScalarType dtype)
      : model_(model),
        graph_(model.graph),
        recorded_(recorded),
        own_(own),
        dtype_(dtype),
        uses_(model.graph),
        casts_(model.graph, uses_) {}

  std::set<std::int32_t> run() {
    decide_tensors();
    for (const ValueId id : graph_.inputs) {
      if (!is_float(id)) continue;
      widths_[id] = Width::kHeld;
      if (!uses_.is_only_widened(id))
        replacements_[id] = made(casts_.cast_input(id, dtype_), dtype_);
    }
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) step(static_cast<std::int32_t>(i));
    for (Argument& output : graph_.outputs) {
      for_each_value(output, [&](ValueId& id) { id = now(id, {}); });
    }
    for (auto& [target, value] : graph_.mutations) value = now(value, {});
    casts_.put_in();
    return std::move(kept_);
  }

 private:
  Node& node(std::int32_t index) { return graph_.nodes[static_cast<std::size_t>(index)]; }

  Width width(ValueId id) const {
    const auto known = widths_.find(id);
    return known == widths_.end() ? Width::kNone : known->second;
  }

  ValueId made(ValueId cast, at::ScalarType dtype) {
    widths_[cast] = dtype == dtype_ ? Width::kHalf : Width::kWide;
    return cast;
  }

  const std::optional<pt2::RecordedTensor>& recorded(ValueId id) const {
    return recorded_[static_cast<std::size_t>(id)];
  }
  bool is_float(ValueId id) const {
    return recorded(id) && at::isFloatingType(recorded(id)->dtype);
  }
  // Casts have those of what they cast, which decides no less.
  bool is_single_number(ValueId id) const {
    return static_cast<std::size_t>(id) < recorded_.size() && recorded(id) &&
           recorded(id)->dimensions == 0;
  }

  void decide_tensors() {
    std::set<std::int32_t> cast;
    std::map<ValueId, std::int32_t> values;
    for (std::size_t i = 0; i < graph_.values.size(); ++i) {
      const auto id = static_cast<ValueId>(i);
      const std::int32_t index = graph_.values[i].tensor;
      if (index < 0) continue;
      const ModelTensor& tensor = model_.tensors[static_cast<std::size_t>(index)];
      if (!at::isFloatingType(tensor.tensor.scalar_type())) continue;
      values[id] = index;
      const bool in_state = tensor.kind == ValueKind::kParameter || tensor.persistent;
      const bool is_number = tensor.kind == ValueKind::kConstant && tensor.tensor.dim() == 0;
      if (in_state || !(is_number || uses_.is_only_widened(id))) cast.insert(index);
    }
    for (const auto& [id, index] : values) {
      const bool is_cast = cast.contains(index);
      widths_[id] = is_cast ? Width::kHalf : Width::kHeld;
      if (!is_cast) kept_.insert(index);
    }
  }

  // What stands for a value where `stack` is.
  ValueId now(ValueId id, const std::vector<ModuleId>& stack) const {
    const auto widening = widenings_.find(id);
    if (widening != widenings_.end() && std::ranges::count(stack, widening->second.module) == 0) {
      id = widening->second.original;
    }
    const auto replacement = replacements_.find(id);
    return replacement == replacements_.end() ? id : replacement->second;
  }

  void step(std::int32_t index) {
    Node& current = node(index);
    const bool is_operator = current.target.find("::") != std::string::npos;
    if (!is_operator || current.target == "aten::_assert_tensor_metadata") return;
    for_each_read(current, [&](ValueId& id) { id = now(id, current.module_stack); });
    const Width result = width_of_result(index);
    for_each_write(current, [&](ValueId id) {
      if (is_float(id)) widths_[id] = result == Width::kNone ? Width::kWide : result;
    });
    if (result == Width::kHalf) keep_in_range(current, dtype_);
  }

  Width width_of_result(std::int32_t index) {
    Node& current = node(index);
    const DtypeRule rule = dtype_rule(current);
    if (rule == DtypeRule::kCast) return width_of_cast(current);
    if (const NamedArgument* asked = dtype_argument(current)) return width_of(*asked);
    const ValueId first = first_value(current);
    const Width of_first = first == kNoValue ? Width::kNone : width(first);
    if (rule == DtypeRule::kView) return of_first;
    if (rule == DtypeRule::kFirstDecides) return plain(of_first);
    if (rule == DtypeRule::kPromotes) return promoted(current);
    if (!writes_in_place(current)) return one_dtype(index);
    make_one_dtype(index, plain(of_first));
    return plain(of_first);
  }

  Width width_of(const NamedArgument& asked) const {
    const at::ScalarType dtype = asked_dtype(asked);
    if (dtype == dtype_) return Width::kHalf;
    return at::isFloatingType(dtype) ? Width::kWide : Width::kNone;
  }

  Width width_of_cast(Node& current) {
    const ValueId self = first_value(current);
    const NamedArgument* const asked = dtype_argument(current);
    if (asked == nullptr) {  // as another tensor, or to a device
      ValueId last = self;
      for_each_read(current, [&](ValueId id) { last = id; });
      return last == kNoValue ? Width::kNone : width(last);
    }
    if (asked_dtype(*asked) != own_ || self == kNoValue) return width_of(*asked);
    switch (width(self)) {
      case Width::kHeld:
        return Width::kHeld;
      case Width::kWide:
        if (widened_.contains(self)) return Width::kWide;  // once more
        for (NamedArgument& argument : current.arguments) {
          if (&argument == asked) argument.value = {c10::IValue(static_cast<std::int64_t>(dtype_))};
        }
        return Width::kHalf;
      case Width::kHalf:
        note_widening(current, self);
        return Width::kWide;
      case Width::kNone:
        break;
    }
    return Width::kWide;
  }

  // A value that came into the module from outside is there what it was.
  void note_widening(const Node& cast, ValueId self) {
    for_each_write(cast, [&](ValueId id) { widened_.insert(id); });
    if (cast.module_stack.size() < 2) return;
    const ModuleId module = cast.module_stack.back();
    const std::int32_t maker = uses_.maker(self);
    if (maker >= 0 && std::ranges::count(node(maker).module_stack, module) > 0) return;
    for_each_write(cast, [&](ValueId id) { widenings_[id] = {self, module}; });
  }

  // Tensors of dimensions decide before single numbers do.
  Width promoted(const Node& current) const {
    Width large = Width::kNone;
    Width small = Width::kNone;
    for_each_read(current, [&](ValueId id) {
      const Width own = plain(width(id));
      Width& most = is_single_number(id) ? small : large;
      if (own == Width::kWide || most == Width::kNone) most = own;
    });
    return large == Width::kNone ? small : large;
  }

  // Half if any is.
  Width one_dtype(std::int32_t index) {
    bool any_half = false;
    bool any_wide = false;
    for_each_read(node(index), [&](ValueId id) {
      any_half = any_half || width(id) == Width::kHalf;
      any_wide = any_wide || plain(width(id)) == Width::kWide;
    });
    if (any_half && any_wide) make_one_dtype(index, Width::kHalf);
    if (any_half) return Width::kHalf;
    return any_wide ? Width::kWide : Width::kNone;
  }

  void make_one_dtype(std::int32_t index, Width wanted) {
    if (wanted == Width::kNone) return;
    const at::ScalarType dtype = wanted == Width::kHalf ? dtype_ : own_;
    for (NamedArgument& argument : node(index).arguments) {
      // A row that is masked by the least number of all has no probabilities if that is infinite.
      const bool is_mask = argument.name == "attn_mask";
      for_each_value(argument.value, [&](ValueId& id) {
        const Width own = plain(width(id));
        if (own == Width::kNone || own == wanted) return;
        id = made(is_mask ? casts_.cast_in_range(id, dtype, index) : casts_.cast(id, dtype, index),
                  dtype);
      });
    }
  }

  ModelData& model_;
  Graph& graph_;
  const std::vector<std::optional<pt2::RecordedTensor>>& recorded_;
  at::ScalarType own_;
  at::ScalarType dtype_;
  ValueUses uses_;
  CastNodes casts_;
  std::map<ValueId, Width> widths_;
  std::set<std::int32_t> kept_;
  std::map<ValueId, ValueId> replacements_;  // of inputs by their casts
  std::set<ValueId> widened_;                // results of casts that stay
  std::map<ValueId, Widening> widenings_;
};

}  // namespace

std::set<std::int32_t> follow_half(ModelData& model,
                                   const std::vector<std::optional<pt2::RecordedTensor>>& recorded,
                                   at::ScalarType own, at::ScalarType dtype) {
  return HalfFlow(model, recorded, own, dtype).run();
}

}  // namespace tenon
