#include "interpreter/interpreter.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "base/error.h"
#include "graph/graph_walk.h"
#include "interpreter/graph_compiler.h"
#include "interpreter/mode_flags.h"
#include "interpreter/node_failure.h"

namespace tenon {
namespace {

std::size_t slot_index(const Operand& operand) { return static_cast<std::size_t>(operand.slot); }

bool reads_any(const Node& node, const std::set<ValueId>& values) {
  bool any = false;
  for_each_read(node, [&](ValueId id) { any = any || values.contains(id); });
  return any;
}

// The node index at which a replacement runs: that of its last node, unless a node in between reads
// one of its outputs; then that of its first, if all inputs are there by then.
std::int32_t replacement_position(const Graph& graph, const Replacement& replacement) {
  const std::set<std::int32_t> own(replacement.nodes.begin(), replacement.nodes.end());
  const std::int32_t first = replacement.nodes.front();
  const std::int32_t last = replacement.nodes.back();
  const std::set<ValueId> outputs(replacement.outputs.begin(), replacement.outputs.end());
  std::set<ValueId> made_between;
  bool outputs_read_between = false;
  for (std::int32_t i = first; i <= last; ++i) {
    if (own.contains(i)) continue;
    const Node& node = graph.nodes[static_cast<std::size_t>(i)];
    outputs_read_between = outputs_read_between || reads_any(node, outputs);
    for_each_write(node, [&](ValueId id) { made_between.insert(id); });
  }
  if (!outputs_read_between) return last;
  const bool inputs_ready = std::none_of(replacement.inputs.begin(), replacement.inputs.end(),
                                         [&](ValueId id) { return made_between.contains(id); });
  if (inputs_ready) return first;
  throw Error({.stage = Stage::kInjection,
               .message = "`" + replacement.name +
                          "` cannot be adapted as one piece: operators outside it use its results "
                          "before it is done",
               .hint = "target the layers inside it instead"});
}

void run_all(const std::vector<std::unique_ptr<Instruction>>& instructions, Frame& frame) {
  std::size_t step = 0;
  try {
    for (; step < instructions.size(); ++step) instructions[step]->run(frame);
  } catch (const c10::OutOfMemoryError&) {
    throw;  // no node's fault
  } catch (const c10::Error& error) {
    throw NodeFailure(error, instructions[step]->node);
  }
}

}  // namespace

struct Program::Mutation {
  Operand target;
  Operand source;
  std::int32_t slot = -1;  // from which the run reads the target, if that is a tensor of the model
};

Program::Program(const Graph& graph, const std::vector<ModelTensor>& tensors,
                 std::vector<Replacement> replacements)
    : slot_count_(graph.values.size()), input_slots_(graph.inputs) {
  constexpr std::int32_t kRuns = -1;      // an ordinary node
  constexpr std::int32_t kReplaced = -2;  // inside a replacement that runs elsewhere
  std::vector<std::int32_t> roles(graph.nodes.size(), kRuns);
  for (std::size_t r = 0; r < replacements.size(); ++r) {
    for (const std::int32_t node : replacements[r].nodes) {
      roles[static_cast<std::size_t>(node)] = kReplaced;
    }
    roles[static_cast<std::size_t>(replacement_position(graph, replacements[r]))] =
        static_cast<std::int32_t>(r);
  }

  GraphCompiler compiler(graph, tensors);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (roles[i] == kRuns) compiler.add_node(graph.nodes[i]);
    if (roles[i] >= 0) compiler.add_replacement(replacements[static_cast<std::size_t>(roles[i])]);
    compiler.end_node(static_cast<std::int32_t>(i));
  }
  instructions_ = compiler.finish();

  std::vector<bool> kept(slot_count_, false);  // read after the last instruction
  for (const Argument& output : graph.outputs) {
    const Operand operand = make_untyped_operand(output, compiler.places());
    outputs_.push_back(
        {operand.kind == Operand::Kind::kConstant ? -1 : operand.slot, operand.constant});
    if (outputs_.back().slot >= 0) kept[slot_index(operand)] = true;
  }
  for (const auto& [target, source] : graph.mutations) {
    Mutation mutation{make_untyped_operand({target}, compiler.places()),
                      make_untyped_operand({source}, compiler.places())};
    const Value& held = graph.values[static_cast<std::size_t>(target)];
    if (held.tensor >= 0) {
      mutation.slot = mutation.target.slot;
      mutation.target.kind = Operand::Kind::kConstant;
      mutation.target.constant = tensors[static_cast<std::size_t>(held.tensor)].tensor;
    }
    for_each_slot(mutation.target, [&](Operand& operand) { kept[slot_index(operand)] = true; });
    for_each_slot(mutation.source, [&](Operand& operand) { kept[slot_index(operand)] = true; });
    mutations_.push_back(std::move(mutation));
  }
  release_at_last_use(std::move(kept));
}

// Backwards, the first read that is met is the last one at run time: it may take the value. What is
// never read is not even kept.
void Program::release_at_last_use(std::vector<bool> read_later) {
  for (auto step = instructions_.rbegin(); step != instructions_.rend(); ++step) {
    for (std::int32_t* slot : (*step)->results()) {
      if (*slot >= 0 && !read_later[static_cast<std::size_t>(*slot)]) *slot = -1;
    }
    std::vector<Operand*> slots;
    for (Operand* operand : (*step)->operands()) {
      for_each_slot(*operand, [&](Operand& slot) { slots.push_back(&slot); });
    }
    for (auto slot = slots.rbegin(); slot != slots.rend(); ++slot) {
      const std::size_t index = slot_index(**slot);
      if (!read_later[index]) (*slot)->kind = Operand::Kind::kLastUse;
      read_later[index] = true;
    }
  }
}

Program::~Program() = default;
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;

std::vector<c10::IValue> Program::run(std::vector<c10::IValue> inputs, const RunMode& mode) const {
  ContextSwitch contexts;
  Frame frame{std::vector<c10::IValue>(slot_count_), {}, mode, contexts};
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    frame.slots[static_cast<std::size_t>(input_slots_[i])] = std::move(inputs[i]);
  }
  for (const Mutation& mutation : mutations_) {
    if (mutation.slot < 0) continue;
    // Backward may need what the forward read: not what is written there at its end.
    const at::Tensor& held = mutation.target.constant.toTensor();
    frame.slots[static_cast<std::size_t>(mutation.slot)] =
        at::GradMode::is_enabled() && !held.requires_grad() ? held.clone() : held;
  }
  run_all(instructions_, frame);
  for (const auto& mutation : mutations_) {
    const at::NoGradGuard no_grad;
    const at::Tensor target = mutation.target.read(frame).toTensor();
    const at::Tensor source = mutation.source.read(frame).toTensor();
    // Where an operator has already written in place, backward must not see another write.
    if (!source.is_same(target)) target.copy_(source);
  }
  std::vector<c10::IValue> outputs;
  outputs.reserve(outputs_.size());
  for (const Output& output : outputs_) {
    outputs.push_back(output.slot < 0 ? output.constant
                                      : frame.slots[static_cast<std::size_t>(output.slot)]);
  }
  return outputs;
}

}  // namespace tenon
