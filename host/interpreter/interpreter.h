#pragma once

#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace tenon {

class LayerRunner;

// How a forward runs; the flags of dropout, batch_norm and the like in the graph follow it.
struct RunMode {
  bool training = false;
  // Whether BatchNorm uses and updates the batch's statistics while training ([train] batch_norm).
  bool batch_norm_training = false;
  // Runs the layers that adapters are on; nullptr where a program has none. A gradient that runs
  // something once more does so with the same.
  std::shared_ptr<const LayerRunner> layers = nullptr;
};

// What runs in place of a set of nodes: one IValue for each of `inputs`, in order; writes one for
// each of `outputs`.
struct Replacement {
  using Function =
      std::function<std::vector<c10::IValue>(std::vector<c10::IValue>, const RunMode&)>;

  std::vector<std::int32_t> nodes;  // of Graph::nodes, ascending
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  Function function;
  std::string name;  // for messages
};

struct Frame;
class Instruction;

// A graph made ready to run: operators, argument conversions and value slots are resolved once, so
// that running touches no string and no map, and every value is dropped after its last use.
// Immutable; several threads may run one program.
class Program {
 public:
  // Throws Error{kModel} listing every operator that this LibTorch does not have, every argument
  // that does not fit its schema, and every replacement that cannot run as one piece.
  Program(const Graph& graph, const std::vector<ModelTensor>& tensors,
          std::vector<Replacement> replacements = {});
  ~Program();
  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;

  // `inputs` as Graph::inputs; returns Graph::outputs.
  std::vector<c10::IValue> run(std::vector<c10::IValue> inputs, const RunMode& mode) const;

  std::size_t instruction_count() const { return instructions_.size(); }

 private:
  struct Output {
    std::int32_t slot;  // -1: constant
    c10::IValue constant;
  };
  struct Mutation;

  void release_at_last_use(std::vector<bool> read_later);

  std::size_t slot_count_ = 0;
  std::vector<std::int32_t> input_slots_;
  std::vector<std::unique_ptr<Instruction>> instructions_;
  std::vector<Output> outputs_;
  std::vector<Mutation> mutations_;  // written back after a run
};

}  // namespace tenon
