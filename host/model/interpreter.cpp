#include "model/interpreter.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "base/error.h"
#include "model/graph_walk.h"
#include "model/instructions.h"
#include "model/mode_flags.h"

namespace tenon {
namespace {

// Turns the nodes of one graph into instructions; collects every problem on the way.
class Compiler {
 public:
  Compiler(const Graph& graph, const std::vector<ModelTensor>& tensors)
      : graph_(graph), tensors_(tensors) {
    places_.slots.assign(graph.values.size(), -1);
    places_.fixed.resize(graph.values.size());
    for (std::size_t id = 0; id < graph.values.size(); ++id) {
      const Value& value = graph.values[id];
      if (value.tensor >= 0) {
        places_.fixed[id] = tensors[static_cast<std::size_t>(value.tensor)].tensor;
      } else {
        places_.slots[id] = static_cast<std::int32_t>(id);
      }
    }
  }

  const ValuePlaces& places() const { return places_; }

  void compile_node(const Node& node) {
    if (is_check_only(node)) return;
    if (node.target == "higher_order::wrap_with_set_grad_enabled") {
      compile_grad_mode(node);
    } else if (node.target.starts_with("higher_order::")) {
      add_problem("the higher-order operator " + node.target + " is not supported");
    } else if (node.target.find("::") != std::string::npos) {
      compile_operator(node);
    } else {
      compile_symbolic(node);
    }
  }

  void compile_replacement(Replacement& replacement) {
    std::vector<Operand> operands;
    for (const ValueId id : replacement.inputs) {
      operands.push_back(make_untyped_operand({id}, places_));
    }
    instructions_.push_back(std::make_unique<ReplacementInstruction>(
        std::move(replacement.function), std::move(operands),
        std::vector<std::int32_t>(replacement.outputs.begin(), replacement.outputs.end())));
  }

  std::vector<std::unique_ptr<Instruction>> finish() {
    if (problems_.empty()) return std::move(instructions_);
    std::string message = "this model needs what Tenon cannot run:";
    for (const std::string& problem : problems_) message += "\n  - " + problem;
    throw Error({.stage = Stage::kModel, .message = message});
  }

 private:
  void add_problem(std::string problem) { problems_.insert(std::move(problem)); }

  void compile_operator(const Node& node) {
    const std::string full_name =
        node.overload.empty() ? node.target : node.target + "." + node.overload;
    const auto handle = c10::Dispatcher::singleton().findSchema({node.target, node.overload});
    if (!handle) {
      add_problem("the operator " + full_name + " is not in this LibTorch");
      return;
    }
    const c10::FunctionSchema& schema = handle->schema();
    std::vector<Operand> operands;
    for (const c10::Argument& declared : schema.arguments()) {
      try {
        operands.push_back(operand_for(node, declared));
      } catch (const std::invalid_argument& misfit) {
        add_problem("the operator " + full_name + " got " + misfit.what() + " for its argument `" +
                    declared.name() + "`");
        return;
      }
    }
    for (const NamedArgument& given : node.arguments) {
      if (!schema.argumentIndexWithName(given.name)) {
        add_problem("the operator " + full_name + " has no argument `" + given.name +
                    "` in this LibTorch");
        return;
      }
    }
    std::unique_ptr<Instruction> step = std::make_unique<OperatorInstruction>(
        *handle, std::move(operands), result_slots(node), counts_batches(node, graph_, tensors_));
    if (node.gradients_off) step = std::make_unique<WithoutGradientsInstruction>(std::move(step));
    instructions_.push_back(std::move(step));
  }

  Operand operand_for(const Node& node, const c10::Argument& declared) const {
    const auto given =
        std::find_if(node.arguments.begin(), node.arguments.end(),
                     [&](const NamedArgument& a) { return a.name == declared.name(); });
    Operand operand;
    if (given != node.arguments.end()) {
      operand = make_operand(given->value, declared.type(), places_);
    } else if (declared.default_value()) {
      operand.constant = *declared.default_value();
    } else {
      throw std::invalid_argument("nothing");
    }
    if (const auto flag = mode_flag(node, declared.name())) operand.kind = *flag;
    return operand;
  }

  void compile_symbolic(const Node& node) {
    const SymbolicOperator op = find_symbolic_operator(node.target);
    if (op == nullptr) {
      add_problem("the operator " + node.target + " on sizes is not supported");
      return;
    }
    std::vector<Operand> operands;
    for (const NamedArgument& argument : node.arguments) {
      operands.push_back(make_untyped_operand(argument.value, places_));
    }
    const ValueId result = node.results.empty() ? kNoValue : node.results[0].values[0];
    instructions_.push_back(std::make_unique<SymbolicInstruction>(op, std::move(operands), result));
  }

  void compile_grad_mode(const Node& node) {
    const auto* enabled = node.arguments.size() >= 2
                              ? std::get_if<c10::IValue>(&node.arguments[0].value.value)
                              : nullptr;
    const auto* nested = node.arguments.size() >= 2
                             ? std::get_if<std::shared_ptr<Graph>>(&node.arguments[1].value.value)
                             : nullptr;
    if (enabled == nullptr || nested == nullptr || !enabled->isBool()) {
      add_problem("wrap_with_set_grad_enabled without its flag and graph");
      return;
    }
    std::vector<Operand> operands;
    for (std::size_t i = 2; i < node.arguments.size(); ++i) {
      operands.push_back(make_untyped_operand(node.arguments[i].value, places_));
    }
    if ((*nested)->inputs.size() != operands.size() ||
        (*nested)->outputs.size() != node.results.size()) {
      add_problem("wrap_with_set_grad_enabled whose graph does not fit its call");
      return;
    }
    instructions_.push_back(std::make_unique<GradModeInstruction>(
        enabled->toBool(), std::make_unique<Program>(**nested, tensors_), std::move(operands),
        result_slots(node)));
  }

  std::vector<ResultSlots> result_slots(const Node& node) const {
    std::vector<ResultSlots> results;
    for (const Result& result : node.results) {
      results.push_back({result.is_list, {result.values.begin(), result.values.end()}});
    }
    return results;
  }

  const Graph& graph_;
  const std::vector<ModelTensor>& tensors_;
  ValuePlaces places_;
  std::vector<std::unique_ptr<Instruction>> instructions_;
  std::set<std::string> problems_;
};

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

}  // namespace

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

  Compiler compiler(graph, tensors);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (roles[i] == kRuns) compiler.compile_node(graph.nodes[i]);
    if (roles[i] >= 0)
      compiler.compile_replacement(replacements[static_cast<std::size_t>(roles[i])]);
  }
  instructions_ = compiler.finish();

  std::vector<bool> kept(slot_count_, false);  // read after the last instruction
  for (const Argument& output : graph.outputs) {
    const Operand operand = make_untyped_operand(output, compiler.places());
    outputs_.push_back(
        {operand.kind == Operand::Kind::kConstant ? -1 : operand.slot, operand.constant});
    if (outputs_.back().slot >= 0) kept[static_cast<std::size_t>(outputs_.back().slot)] = true;
  }
  for (const auto& [target, source] : graph.mutations) {
    const Value& value = graph.values[static_cast<std::size_t>(target)];
    mutations_.emplace_back(tensors[static_cast<std::size_t>(value.tensor)].tensor, source);
    kept[static_cast<std::size_t>(source)] = true;
  }

  // Backwards, the first read that is met is the last one at run time: it may take the value.
  std::vector<bool> read_later = kept;
  for (auto step = instructions_.rbegin(); step != instructions_.rend(); ++step) {
    std::vector<Operand*> slots;
    for (Operand* operand : (*step)->operands()) {
      for_each_slot(*operand, [&](Operand& slot) { slots.push_back(&slot); });
    }
    for (auto slot = slots.rbegin(); slot != slots.rend(); ++slot) {
      const auto index = static_cast<std::size_t>((*slot)->slot);
      if (!read_later[index]) (*slot)->kind = Operand::Kind::kLastUse;
      read_later[index] = true;
    }
  }
}

Program::~Program() = default;
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;

std::vector<c10::IValue> Program::run(std::vector<c10::IValue> inputs, const RunMode& mode) const {
  Frame frame{std::vector<c10::IValue>(slot_count_), {}, mode};
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    frame.slots[static_cast<std::size_t>(input_slots_[i])] = std::move(inputs[i]);
  }
  for (const auto& instruction : instructions_) instruction->run(frame);
  for (const auto& [target, source] : mutations_) {
    const at::NoGradGuard no_grad;
    const at::Tensor destination = target;
    destination.copy_(frame.slots[static_cast<std::size_t>(source)].toTensor());
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
