#include "plugin/plugin_function.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "plugin/handles.h"
#include "plugin/host_fence.h"
#include "plugin/host_table.h"
#include "plugin/running_plugin.h"

namespace tenon {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// One call of apply; the bytes of the context are copied to where malloc would put them.
struct Run {
  const tenon_function& function;
  std::string context;
};

// Valid as long as the tensors stay where they are.
std::vector<tenon_tensor> handles_of(at::TensorList tensors) {
  std::vector<tenon_tensor> handles;
  for (const at::Tensor& tensor : tensors) {
    handles.push_back(tensor.defined() ? to_handle(tensor) : nullptr);
  }
  return handles;
}

variable_list take_all(const std::vector<tenon_tensor>& handles) {
  variable_list tensors;
  for (const tenon_tensor handle : handles) tensors.push_back(take_handle(handle));
  return tensors;
}

[[noreturn]] void fail(const tenon_function& function, const char* part, const std::string& text) {
  const std::string where = std::string(function.name) + ": " + part;
  throw Error(
      {.stage = Stage::kPlugins,
       .message = text.empty() ? "plugin bug: " + where + " failed without a message" : text});
}

void require_all(const variable_list& tensors, const tenon_function& function, const char* what) {
  for (const at::Tensor& tensor : tensors) {
    if (!tensor.defined())
      fail(function, what, std::string("plugin bug: ") + function.name + ": " + what);
  }
}

struct PluginFunction : torch::autograd::Function<PluginFunction> {
  static variable_list forward(AutogradContext* context, at::TensorList inputs, const Run* run) {
    const tenon_function& function = run->function;
    std::vector<tenon_tensor> outputs(function.n_outputs);
    std::vector<tenon_tensor> saved(function.n_saved);
    const std::vector<tenon_tensor> handles = handles_of(inputs);
    tenon_error error;
    const RunningPlugin running(function.name, "forward");
    const tenon_status status = function.forward(
        &function, &host_table(), run->context.data(), handles.data(),
        static_cast<std::uint32_t>(handles.size()), outputs.data(), saved.data(), &error);
    variable_list results = take_all(outputs);
    variable_list kept = take_all(saved);
    if (status != TENON_OK) fail(function, "forward", error.text);
    require_all(results, function, "forward left an output empty");
    context->save_for_backward(std::move(kept));
    context->saved_data["function"] = reinterpret_cast<std::int64_t>(&function);
    context->saved_data["context"] = run->context;
    context->saved_data["inputs"] = static_cast<std::int64_t>(handles.size());
    context->set_materialize_grads(false);
    return results;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto& function =
        *reinterpret_cast<const tenon_function*>(context->saved_data["function"].toInt());
    const std::string& bytes = context->saved_data["context"].toStringRef();
    const auto n_inputs = static_cast<std::size_t>(context->saved_data["inputs"].toInt());
    std::vector<std::uint8_t> needed;
    for (std::size_t i = 0; i < n_inputs; ++i) needed.push_back(context->needs_input_grad(i));
    const variable_list saved = context->get_saved_variables();
    std::vector<tenon_tensor> input_gradients(n_inputs);
    tenon_error error;
    const RunningPlugin running(function.name, "backward");
    const tenon_status status =
        function.backward(&function, &host_table(), bytes.data(), handles_of(saved).data(),
                          handles_of(gradients).data(), needed.data(), input_gradients.data(),
                          static_cast<std::uint32_t>(n_inputs), &error);
    variable_list results = take_all(input_gradients);
    if (status != TENON_OK) fail(function, "backward", error.text);
    for (std::size_t i = 0; i < n_inputs; ++i) {
      if (needed[i] == 0) results[i] = at::Tensor();
    }
    results.emplace_back();  // of the argument that is no tensor
    return results;
  }
};

tenon_status apply(const tenon_function* function, const void* context, std::size_t n_bytes,
                   const tenon_tensor* inputs, std::uint32_t n_inputs, tenon_tensor* outputs_owned,
                   tenon_error* error) {
  return fenced(error, [&] {
    const Run run{*function, std::string(static_cast<const char*>(context), n_bytes)};
    variable_list tensors;
    for (std::uint32_t i = 0; i < n_inputs; ++i) {
      if (inputs[i] == nullptr)
        return set_failure(error, TENON_INVALID_ARGUMENT, "an input is NULL");
      tensors.push_back(from_handle(inputs[i]));
    }
    variable_list outputs = PluginFunction::apply(at::TensorList(tensors), &run);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      outputs_owned[i] = new_handle(std::move(outputs[i]));
    }
    return static_cast<tenon_status>(TENON_OK);
  });
}

}  // namespace

const tenon_autograd& plugin_autograd() {
  static const tenon_autograd table{sizeof(tenon_autograd), 0, apply};
  return table;
}

}  // namespace tenon
