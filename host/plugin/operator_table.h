#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <tenon/host.h>

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

// A resolved operator: one of LibTorch's dispatcher, or one of the host's own.
struct tenon_op {
  using Kernel = void (*)(torch::jit::Stack&);

  explicit tenon_op(c10::OperatorHandle operator_handle);
  tenon_op(const c10::FunctionSchema& host_schema, Kernel host_kernel);

  std::optional<c10::OperatorHandle> handle;  // unset for a host operator
  Kernel kernel = nullptr;
  const c10::FunctionSchema& schema;
  std::vector<c10::TypeKind> kinds;  // of each argument, optionals unwrapped
  std::vector<bool> optional;
  // Calls with every argument on the stack; leaves the results there.
  void operator()(torch::jit::Stack& stack) const;

 private:
  tenon_op(const c10::FunctionSchema& operator_schema,
           std::optional<c10::OperatorHandle> operator_handle, Kernel host_kernel);
};

namespace tenon {

// Resolves operators by name, each once; what it hands out is valid as long as the table.
// Safe from several threads.
class OperatorTable {
 public:
  // nullptr if there is no such operator.
  tenon_op* resolve(const std::string& name, const std::string& overload);

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::unique_ptr<tenon_op>> operators_;
};

// Pushes plain values as the arguments of `op`, defaults filled in; throws c10::Error or Error
// naming the argument that does not fit.
void push_arguments(const tenon_op& op, std::span<const tenon_value> arguments,
                    torch::jit::Stack& stack);

// Writes the stack's values to `results` with owned handles; throws Error if the counts differ or a
// result has no place in a tenon_value.
void pop_results(torch::jit::Stack& stack, std::span<tenon_value> results);

void release_results(std::span<tenon_value> results);

}  // namespace tenon
