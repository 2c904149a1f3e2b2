#include "check/function_probe.h"

#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "check/host_probe.h"
#include "check/lent_tensors.h"
#include "check/watched_call.h"
#include "plugin/plugin_function.h"

namespace tenon {
namespace {

// A context of the host's holds the plugin's function, then the plugin's own bytes.
const tenon_function& original_of(const void* context) {
  return **static_cast<const tenon_function* const*>(context);
}
const void* own_bytes(const void* context) {
  return static_cast<const char*>(context) + sizeof(const tenon_function*);
}

tenon_status forward(const tenon_function*, const tenon_host*, const void* context,
                     const tenon_tensor* inputs, std::uint32_t n_inputs, tenon_tensor* outputs,
                     tenon_tensor* saved, tenon_error* error) {
  const tenon_function& original = original_of(context);
  const std::string name = std::string(original.name) + ": forward";
  WatchedCall watched(name, {error});
  const LentTensors lent("input", inputs, n_inputs);
  std::vector<tenon_tensor> written(original.n_outputs);
  std::vector<tenon_tensor> kept(original.n_saved);
  const tenon_status status = watched.run(
      [&] {
        return original.forward(&original, &probe().table(), own_bytes(context), lent.handles(),
                                n_inputs, written.data(), kept.data(), error);
      },
      error);
  take_outputs(name, status, false, written, outputs);
  take_outputs(name + ", saved", status, true, kept, saved);
  watched.finish();
  lent.check(name);
  return status;
}

tenon_status backward(const tenon_function*, const tenon_host*, const void* context,
                      const tenon_tensor* saved, const tenon_tensor* gradients,
                      const std::uint8_t* needed, tenon_tensor* input_gradients,
                      std::uint32_t n_inputs, tenon_error* error) {
  const tenon_function& original = original_of(context);
  const std::string name = std::string(original.name) + ": backward";
  WatchedCall watched(name, {error});
  const LentTensors lent_saved("saved tensor", saved, original.n_saved);
  const LentTensors lent_gradients("gradient", gradients, original.n_outputs);
  std::vector<tenon_tensor> written(n_inputs);
  const tenon_status status = watched.run(
      [&] {
        return original.backward(&original, &probe().table(), own_bytes(context),
                                 lent_saved.handles(), lent_gradients.handles(), needed,
                                 written.data(), n_inputs, error);
      },
      error);
  take_outputs(name, status, true, written, input_gradients);
  watched.finish();
  lent_saved.check(name);
  lent_gradients.check(name);
  return status;
}

// The host keeps the address of a function until exit.
const tenon_function& watched_function(const tenon_function& original) {
  static std::mutex mutex;
  static std::map<const tenon_function*, tenon_function> functions;
  const std::lock_guard lock(mutex);
  tenon_function& watched = functions[&original];
  watched = original;
  watched.forward = forward;
  watched.backward = backward;
  return watched;
}

tenon_status apply(const tenon_function* function, const void* context, std::size_t n_bytes,
                   const tenon_tensor* inputs, std::uint32_t n_inputs, tenon_tensor* outputs,
                   tenon_error* error) {
  if (const auto status = probe().before_call("apply", inputs, n_inputs, error)) return status;
  std::vector<char> bytes(sizeof function + n_bytes);
  std::memcpy(bytes.data(), &function, sizeof function);
  if (n_bytes > 0) std::memcpy(bytes.data() + sizeof function, context, n_bytes);
  const tenon_status status = plugin_autograd().apply(
      &watched_function(*function), bytes.data(), bytes.size(), inputs, n_inputs, outputs, error);
  for (std::uint32_t i = 0; status == TENON_OK && i < function->n_outputs; ++i) {
    probe().handles().own(outputs[i], "apply");
  }
  return status;
}

}  // namespace

const tenon_autograd& probed_autograd() {
  static const tenon_autograd table{sizeof(tenon_autograd), 0, apply};
  return table;
}

}  // namespace tenon
