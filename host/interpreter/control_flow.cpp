#include "interpreter/control_flow.h"

#include <ATen/ATen.h>

#include <stdexcept>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace tenon {
namespace {

using Values = std::vector<c10::IValue>;

struct Form {
  std::string_view target;
  ControlFlowKind kind;
  std::string_view arguments;  // in order: g a graph, v a value, l a list of values
};

constexpr Form kForms[] = {
    {"higher_order::cond", ControlFlowKind::kCondition, "vggl"},
    {"higher_order::while_loop", ControlFlowKind::kWhileLoop, "ggll"},
    {"higher_order::map_impl", ControlFlowKind::kMap, "gll"},
    {"higher_order::scan", ControlFlowKind::kScan, "glll"},
};

std::vector<Argument> items(const Argument& argument) {
  if (const auto* list = std::get_if<Argument::List>(&argument.value)) return list->items;
  std::vector<Argument> result;
  const auto* constant = std::get_if<c10::IValue>(&argument.value);
  if (constant == nullptr || !constant->isList()) {
    throw std::invalid_argument("got a value where it takes a list");
  }
  for (const c10::IValue& item : constant->toList()) result.push_back({item});
  return result;
}

// How many inputs and outputs the graphs must have.
void check_graphs(const ControlFlow& flow, const Node& node) {
  std::size_t inputs = 0;
  const std::size_t first = flow.kind == ControlFlowKind::kCondition ? 1 : 0;
  for (std::size_t i = first; i < flow.operands.size(); ++i) inputs += flow.operands[i].size();
  for (std::size_t i = 0; i < flow.graphs.size(); ++i) {
    const bool is_test = flow.kind == ControlFlowKind::kWhileLoop && i == 0;
    const std::size_t outputs = is_test ? 1 : node.results.size();
    if (flow.graphs[i]->inputs.size() != inputs || flow.graphs[i]->outputs.size() != outputs) {
      throw std::invalid_argument("has a graph that does not fit its call");
    }
  }
  const bool carries =
      flow.kind == ControlFlowKind::kWhileLoop || flow.kind == ControlFlowKind::kScan;
  if (carries && flow.operands[0].size() > node.results.size()) {
    throw std::invalid_argument("carries more than it gives");
  }
}

Values joined(Values front, const Values& back) {
  front.insert(front.end(), back.begin(), back.end());
  return front;
}

bool is_true(const c10::IValue& value) {
  return value.isTensor() ? value.toTensor().item().toBool() : value.toScalar().toBool();
}

class ControlFlowInstruction : public Instruction {
 public:
  ControlFlowInstruction(std::vector<Program> programs, std::vector<std::vector<Operand>> operands,
                         std::vector<ResultSlots> results)
      : programs_(std::move(programs)),
        operands_(std::move(operands)),
        results_(std::move(results)) {}

  void run(Frame& frame) const override {
    std::vector<Values> groups;
    groups.reserve(operands_.size());
    for (const auto& group : operands_) groups.push_back(read_all(group, frame));
    torch::jit::Stack values = compute(std::move(groups), frame.mode);
    store_results(values, results_, frame);
  }

  std::vector<Operand*> operands() override {
    std::vector<Operand*> all;
    for (auto& group : operands_) {
      for (Operand& operand : group) all.push_back(&operand);
    }
    return all;
  }

  std::vector<std::int32_t*> results() override { return pointers(results_); }

 protected:
  virtual Values compute(std::vector<Values> operands, const RunMode& mode) const = 0;
  const Program& program(std::size_t number) const { return programs_[number]; }
  std::size_t result_count() const { return results_.size(); }

 private:
  std::vector<Program> programs_;
  std::vector<std::vector<Operand>> operands_;
  std::vector<ResultSlots> results_;
};

class ConditionInstruction : public ControlFlowInstruction {
 public:
  using ControlFlowInstruction::ControlFlowInstruction;

 private:
  Values compute(std::vector<Values> operands, const RunMode& mode) const override {
    return program(is_true(operands[0][0]) ? 0 : 1).run(std::move(operands[1]), mode);
  }
};

class WhileLoopInstruction : public ControlFlowInstruction {
 public:
  using ControlFlowInstruction::ControlFlowInstruction;

 private:
  Values compute(std::vector<Values> operands, const RunMode& mode) const override {
    Values carried = std::move(operands[0]);
    while (is_true(program(0).run(joined(carried, operands[1]), mode).at(0))) {
      carried = program(1).run(joined(std::move(carried), operands[1]), mode);
    }
    return carried;
  }
};

// The rows of each tensor.
std::vector<std::vector<at::Tensor>> split_rows(const Values& values) {
  std::vector<std::vector<at::Tensor>> rows;
  for (const c10::IValue& value : values) {
    rows.push_back(value.toTensor().unbind(0));
    if (rows.back().size() != rows.front().size()) {
      throw Error({.stage = Stage::kModel,
                   .message = "a loop over rows got tensors of " +
                              std::to_string(rows.front().size()) + " and " +
                              std::to_string(rows.back().size()) + " rows"});
    }
  }
  if (rows.empty() || rows.front().empty()) {
    throw Error({.stage = Stage::kModel,
                 .message = "a loop over rows (torch's map or scan) got none, so the shape of its "
                            "result is not known",
                 .hint = "Give the model at least one row."});
  }
  return rows;
}

Values stacked(const std::vector<std::vector<at::Tensor>>& columns) {
  Values values;
  for (const auto& column : columns) values.emplace_back(at::stack(column));
  return values;
}

// Map and scan: a map is a scan that carries nothing.
class ScanInstruction : public ControlFlowInstruction {
 public:
  using ControlFlowInstruction::ControlFlowInstruction;

 private:
  Values compute(std::vector<Values> operands, const RunMode& mode) const override {
    const bool carries = operands.size() == 3;
    Values carried = carries ? std::move(operands[0]) : Values();
    const auto rows = split_rows(operands[carries ? 1 : 0]);
    std::vector<std::vector<at::Tensor>> columns(result_count() - carried.size());
    for (std::size_t row = 0; row < rows.front().size(); ++row) {
      Values inputs = carried;
      for (const auto& tensor : rows) inputs.emplace_back(tensor[row]);
      Values outputs = program(0).run(joined(std::move(inputs), operands.back()), mode);
      for (std::size_t i = 0; i < columns.size(); ++i) {
        columns[i].push_back(std::move(outputs[carried.size() + i]).toTensor());
      }
      outputs.resize(carried.size());
      carried = std::move(outputs);
    }
    return joined(std::move(carried), stacked(columns));
  }
};

}  // namespace

ControlFlow read_control_flow(const Node& node) {
  for (const Form& form : kForms) {
    if (node.target != form.target) continue;
    if (node.arguments.size() != form.arguments.size()) {
      throw std::invalid_argument("got another number of arguments than it takes");
    }
    ControlFlow flow{form.kind, {}, {}};
    for (std::size_t i = 0; i < form.arguments.size(); ++i) {
      const Argument& argument = node.arguments[i].value;
      if (form.arguments[i] == 'g') {
        const auto* graph = std::get_if<std::shared_ptr<Graph>>(&argument.value);
        if (graph == nullptr) throw std::invalid_argument("got a value where it takes a graph");
        flow.graphs.push_back(*graph);
      } else if (form.arguments[i] == 'l') {
        flow.operands.push_back(items(argument));
      } else {
        flow.operands.push_back({argument});
      }
    }
    check_graphs(flow, node);
    return flow;
  }
  throw std::invalid_argument("is not supported");
}

std::unique_ptr<Instruction> make_control_flow(ControlFlowKind kind, std::vector<Program> programs,
                                               std::vector<std::vector<Operand>> operands,
                                               std::vector<ResultSlots> results) {
  switch (kind) {
    case ControlFlowKind::kCondition:
      return std::make_unique<ConditionInstruction>(std::move(programs), std::move(operands),
                                                    std::move(results));
    case ControlFlowKind::kWhileLoop:
      return std::make_unique<WhileLoopInstruction>(std::move(programs), std::move(operands),
                                                    std::move(results));
    case ControlFlowKind::kMap:
    case ControlFlowKind::kScan:
      break;
  }
  return std::make_unique<ScanInstruction>(std::move(programs), std::move(operands),
                                           std::move(results));
}

}  // namespace tenon
