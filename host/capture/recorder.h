#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <set>
#include <string>
#include <vector>

#include "capture/recording.h"
#include "capture/value_table.h"

namespace tenon {

// Writes a recording down, one outermost operator call after the other.
class Recorder {
 public:
  Recorder(Recording& recording, const std::vector<ModelTensor>& tensors,
           const std::vector<at::Tensor>& inputs);

  // An operator is about to run; `arguments` in its schema's order.
  void begin(const c10::FunctionSchema& schema, c10::ArrayRef<c10::IValue> arguments,
             bool gradients);
  // It is done. One that threw has no results and leaves no trace.
  void end(const std::vector<c10::IValue>& results);
  void set_outputs(const std::vector<at::Tensor>& outputs);

  // Something that no graph can show.
  void add_problem(std::string problem) { problems_.insert(std::move(problem)); }
  void throw_if_any_problem() const;

 private:
  Argument argument(const c10::IValue& value, const c10::AliasInfo* alias);
  ValueId read(const at::Tensor& tensor, const c10::AliasInfo* alias);
  ValueId bring_in(const at::Tensor& tensor);
  ValueId detached(const at::Tensor& tensor, ValueId value);
  void check_history(const at::Tensor& tensor, ValueId value);
  void add_unary(const char* target, ValueId input, ValueId result);
  std::string next_operator() const;

  Recording& recording_;
  ValueTable values_;
  Node node_;                        // the one that runs
  std::vector<at::Tensor> written_;  // by it, in place
  std::size_t result_count_ = 0;
  bool reserves_memory_ = false;  // it makes memory that it does not write
  std::set<std::string> problems_;
};

}  // namespace tenon
