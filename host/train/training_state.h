#pragma once

#include <cstdint>
#include <vector>

#include "data/batch_order.h"
#include "model/tensor_file.h"
#include "objectives/best_value.h"
#include "ranks/ranks.h"
#include "train/schedule.h"

namespace tenon {

// Where a training stands between two steps: with the same model, data and config, all that the
// next steps depend on, and what was measured so far.
struct TrainingState {
  std::int64_t step = 0;  // of those planned: the steps without a judged label count too
  double epoch = 0;
  BatchPosition position;
  std::int64_t batches_skipped = 0;
  std::int64_t losses_logged = 0;
  bool has_moved = false;
  bool went_negative = false;
  Plateau::State plateau;
  BestValue::State best;
  // "parameter.0", "buffer.0", "optimizer.0.exp_avg", "generator.cpu", "losses", ... They are the
  // training's own, not copies.
  NamedTensors tensors;
};

// The states of the generators of random numbers, which dropout draws from: the processor's, and
// that of the device of `tensors`, if it has one.
NamedTensors generator_states(const std::vector<at::Tensor>& tensors);
void restore_generators(const NamedTensors& states);

// Of each rank its own, in a training's state. A rank that had none begins with new ones.
void add_generators(NamedTensors& state, const std::vector<at::Tensor>& tensors, Ranks& ranks);
void restore_generators_of(const NamedTensors& state, const Ranks& ranks);

// Random numbers drawn while one lives are drawn again after it.
class GeneratorsKept {
 public:
  explicit GeneratorsKept(const std::vector<at::Tensor>& tensors);
  ~GeneratorsKept();
  GeneratorsKept(const GeneratorsKept&) = delete;
  GeneratorsKept& operator=(const GeneratorsKept&) = delete;

 private:
  NamedTensors states_;
};

// Parts of a state by the start of their names, which is left out: "optimizer." of
// "optimizer.steps".
NamedTensors tensors_under(const NamedTensors& tensors, const std::string& prefix);
void add_under(NamedTensors& tensors, const std::string& prefix, const NamedTensors& part);

// A list "0", "1", ... copied into tensors of the same number and shapes. Throws Error{kAdapter}.
void copy_list(const NamedTensors& list, const std::string& what,
               const std::vector<at::Tensor>& into);
NamedTensors as_list(const std::vector<at::Tensor>& tensors);

// Numbers as a tensor of float64, which keeps every bit.
at::Tensor numbers_tensor(const std::vector<double>& numbers);
std::vector<double> numbers_of(const NamedTensors& tensors, const std::string& name);

}  // namespace tenon
