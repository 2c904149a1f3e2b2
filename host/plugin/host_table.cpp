#include "plugin/host_table.h"

#include <ATen/core/grad_mode.h>
#include <tenon/version.h>
#include <torch/headeronly/version.h>

#include <cmath>
#include <cstring>
#include <string>
#include <string_view>
#include <tenon/cpp/names.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/printable.h"
#include "plugin/handles.h"
#include "plugin/host_fence.h"
#include "plugin/key_rules.h"
#include "plugin/operator_table.h"
#include "plugin/plugin_function.h"
#include "plugin/plugin_generators.h"
#include "plugin/saved_file.h"
#include "plugin/sized_struct.h"
#include "plugin/started_adapter.h"
#include "plugin/training_store.h"

namespace tenon {
namespace {

// Operators must stay valid until exit, and a C function has no place to keep them.
OperatorTable& operators() {
  static OperatorTable table;
  return table;
}

const void* extension(const char* id) {
  const std::string_view wanted(id);
  if (wanted == TENON_AUTOGRAD) return &plugin_autograd();
  if (wanted == TENON_GENERATORS) return &plugin_generators();
  if (wanted == TENON_TRAINING) return &training_host();
  if (wanted == TENON_FILES) return &files_host();
  if (wanted == TENON_KEYS) return &keys_host();
  if (wanted == TENON_DATA_START) return &data_start_host();
  return nullptr;
}

// What a plugin says is shown as it is, but not without end.
constexpr std::size_t kMostPluginText = 8000;

std::string text_of_plugin(const char* text) {
  return printable_excerpt(text == nullptr ? "" : text, kMostPluginText);
}

void set_error(tenon_error* error, tenon_status status, const char* text) {
  set_failure(error, status, text_of_plugin(text));
}

void log_line(tenon_log_level level, const char* origin, const char* text) {
  const std::string line = text_of_plugin(origin) + ": " + text_of_plugin(text);
  if (level >= TENON_LOG_WARNING) {
    log::warning(line);
  } else if (level == TENON_LOG_INFO) {
    log::info(line);
  } else {
    log::debug(line);
  }
}

tenon_status unknown(tenon_error* error, const char* what, const char* key) {
  return set_failure(error, TENON_INVALID_ARGUMENT,
                     std::string("there is no ") + what + " `" + key + "`");
}

tenon_status option(const tenon_setup* setup, const char* key, tenon_value* out,
                    tenon_error* error) {
  return fenced(error, [&] {
    const auto found = setup->options.find(key);
    if (found == setup->options.end()) return unknown(error, "option", key);
    setup->asked.insert(key);
    *out = to_value(found->second, setup->views);
    return static_cast<tenon_status>(TENON_OK);
  });
}

tenon_status attribute(const tenon_base* base, const char* name, tenon_value* out,
                       tenon_error* error) {
  return fenced(error, [&] {
    const auto& attributes = static_cast<const LayerFacts*>(base)->attribute_values();
    const auto found = attributes.find(name);
    if (found == attributes.end()) return unknown(error, "attribute", name);
    *out = found->second;
    return static_cast<tenon_status>(TENON_OK);
  });
}

// By the words of tenon/parameter.h.
std::string find_parameter_fault(const tenon_parameter& parameter) {
  constexpr tenon_parameter_flags kKinds = TENON_PARAMETER_TRAINABLE | TENON_PARAMETER_BUFFER;
  constexpr tenon_parameter_flags kKnown =
      kKinds | TENON_PARAMETER_KEEP_FP32 | TENON_PARAMETER_NOT_SAVED;
  if (parameter.name == nullptr || parameter.init == nullptr) {
    return "a parameter needs a name and an init";
  }
  const std::string name = "the parameter `" + printable_excerpt(parameter.name, 80) + "`";
  if (!names::is_parameter(parameter.name) ||
      (parameter.shared_key != nullptr && !names::is_parameter(parameter.shared_key))) {
    return name +
           " is not named by parts joined by single dots, of printable ASCII without blanks, "
           "quotes and slashes";
  }
  if ((parameter.flags & ~kKnown) != 0) return name + " has flags that this Tenon does not know";
  const tenon_parameter_flags kind = parameter.flags & kKinds;
  if (kind != TENON_PARAMETER_TRAINABLE && kind != TENON_PARAMETER_BUFFER) {
    return name + " must be either TRAINABLE or a BUFFER";
  }
  if (kind == TENON_PARAMETER_TRAINABLE && (parameter.flags & TENON_PARAMETER_NOT_SAVED) != 0) {
    return name + " is trained, so it must be saved";
  }
  if (parameter.ndim > 0 && parameter.shape == nullptr) return name + " has no shape";
  if (!std::isfinite(parameter.init_a) || !std::isfinite(parameter.init_b)) {
    return name + " starts from a number that is not finite";
  }
  return "";
}

tenon_status add_parameter(tenon_setup* setup, const tenon_parameter* declared,
                           std::uint32_t* index, tenon_error* error) {
  return fenced(error, [&] {
    const tenon_parameter full = read_sized(*declared);
    const tenon_parameter* const parameter = &full;
    const std::string fault = find_parameter_fault(*parameter);
    if (!fault.empty()) return set_failure(error, TENON_INVALID_ARGUMENT, fault);
    ParameterSpec spec;
    spec.name = parameter->name;
    spec.shape.assign(parameter->shape, parameter->shape + parameter->ndim);
    for (const std::int64_t size : spec.shape) {
      if (size < 0) return set_failure(error, TENON_BAD_SHAPE, spec.name + ": a size is negative");
    }
    for (const ParameterSpec& other : setup->parameters) {
      if (other.name == spec.name) {
        return set_failure(error, TENON_INVALID_ARGUMENT, spec.name + " is declared twice");
      }
    }
    spec.dtype = parameter->dtype;
    spec.flags = parameter->flags;
    spec.init = parameter->init;
    spec.init_a = parameter->init_a;
    spec.init_b = parameter->init_b;
    if (parameter->shared_key != nullptr) spec.shared_key = parameter->shared_key;
    *index = static_cast<std::uint32_t>(setup->parameters.size());
    setup->parameters.push_back(std::move(spec));
    return static_cast<tenon_status>(TENON_OK);
  });
}

tenon_status retain(tenon_tensor borrowed, tenon_tensor* owned, tenon_error* error) {
  return fenced(error, [&] {
    if (borrowed == nullptr) return set_failure(error, TENON_INVALID_ARGUMENT, "a tensor is NULL");
    *owned = new_handle(from_handle(borrowed));
    return static_cast<tenon_status>(TENON_OK);
  });
}

void release(tenon_tensor owned) { take_handle(owned); }

tenon_status describe(tenon_tensor handle, tenon_tensor_info* out, tenon_error* error) {
  return fenced(error, [&] {
    const at::Tensor& tensor = from_handle(handle);
    tenon_tensor_info info{};
    info.struct_size = out->struct_size;
    info.ndim = static_cast<std::uint32_t>(tensor.dim());
    info.shape = tensor.sizes().data();
    info.strides = tensor.strides().data();
    info.dtype = static_cast<std::int32_t>(tensor.scalar_type());
    info.device_type = static_cast<std::int32_t>(tensor.device().type());
    info.device_index = tensor.device().index();
    info.requires_grad = tensor.requires_grad() ? 1 : 0;
    info.elements = tensor.numel();
    info.data = tensor.has_storage() ? tensor.const_data_ptr() : nullptr;
    info.storage_offset = tensor.storage_offset();
    info.is_contiguous = tensor.is_contiguous() ? 1 : 0;
    info.is_leaf = tensor.is_leaf() ? 1 : 0;
    // A plugin built with a newer SDK has a larger struct: fill what this host knows.
    std::memcpy(out, &info, std::min<std::size_t>(out->struct_size, sizeof info));
    return TENON_OK;
  });
}

tenon_status resolve(const char* name, const char* overload, tenon_op** out, tenon_error* error) {
  return fenced(error, [&] {
    tenon_op* op = operators().resolve(name, overload);
    if (op == nullptr) {
      return set_failure(error, TENON_UNSUPPORTED,
                         std::string("LibTorch ") + TORCH_VERSION + " has no operator " + name +
                             (*overload ? std::string(".") + overload : ""));
    }
    *out = op;
    return static_cast<tenon_status>(TENON_OK);
  });
}

tenon_status call(tenon_op* op, const tenon_value* arguments, std::uint32_t n, tenon_value* results,
                  std::uint32_t m, tenon_error* error) {
  return fenced(error, [&] {
    torch::jit::Stack stack;
    stack.reserve(op->kinds.size());
    push_arguments(*op, {arguments, n}, stack);
    (*op)(stack);
    pop_results(stack, {results, m});
    return TENON_OK;
  });
}

void release_values(tenon_value* results, std::uint32_t m) { tenon::release_results({results, m}); }

// Nothing else holds the memory and no gradient needs its contents.
bool may_be_overwritten(const at::Tensor& tensor) {
  return !tensor.requires_grad() && tensor.use_count() == 1 && tensor.storage().use_count() == 1;
}

tenon_status run_base(tenon_call_context* context, const tenon_tensor* inputs,
                      std::uint32_t n_inputs, const std::uint32_t* replaced,
                      const tenon_tensor* replacements, std::uint32_t n_replaced,
                      tenon_tensor* outputs_owned, std::int32_t* may_overwrite,
                      std::uint32_t n_outputs, tenon_error* error) {
  return fenced(error, [&] {
    if (context == nullptr) {
      return set_failure(error, TENON_INVALID_ARGUMENT,
                         "there is no call of the base to run here: merged_weight sees its weights "
                         "only");
    }
    std::vector<std::pair<std::uint32_t, at::Tensor>> weights;
    for (std::uint32_t i = 0; i < n_replaced; ++i) {
      weights.emplace_back(replaced[i], from_handle(replacements[i]));
    }
    std::vector<at::Tensor> outputs = context->run_base({inputs, n_inputs}, weights);
    if (outputs.size() != n_outputs) {
      return set_failure(error, TENON_INVALID_ARGUMENT,
                         "the base has " + std::to_string(outputs.size()) + " outputs");
    }
    for (std::uint32_t i = 0; i < n_outputs; ++i) {
      if (may_overwrite != nullptr) may_overwrite[i] = may_be_overwritten(outputs[i]) ? 1 : 0;
      outputs_owned[i] = new_handle(std::move(outputs[i]));
    }
    return static_cast<tenon_status>(TENON_OK);
  });
}

tenon_status set_grad_enabled(std::int32_t enabled, std::int32_t* previous, tenon_error*) {
  *previous = at::GradMode::is_enabled() ? 1 : 0;
  at::GradMode::set_enabled(enabled != 0);
  return TENON_OK;
}

tenon_status argument_index(const tenon_op* op, const char* name, std::uint32_t* index,
                            tenon_error* error) {
  return fenced(error, [&] {
    const std::optional<int> found = op->schema.argumentIndexWithName(name);
    if (!found) return unknown(error, "argument", name);
    *index = static_cast<std::uint32_t>(*found);
    return static_cast<tenon_status>(TENON_OK);
  });
}

tenon_host make_table() {
  tenon_host table{};
  table.struct_size = sizeof table;
  table.abi_major = TENON_ABI_MAJOR;
  table.abi_minor = TENON_ABI_MINOR;
  table.version = TENON_SDK_VERSION;
  table.torch_version = TORCH_VERSION;
  table.extension = extension;
  table.set_error = set_error;
  table.log = log_line;
  table.option = option;
  table.add_parameter = add_parameter;
  table.attribute = attribute;
  table.retain = retain;
  table.release = release;
  table.describe = describe;
  table.resolve = resolve;
  table.call = call;
  table.release_results = release_values;
  table.run_base = run_base;
  table.set_grad_enabled = set_grad_enabled;
  table.argument_index = argument_index;
  return table;
}

}  // namespace

const tenon_host& host_table() {
  static const tenon_host table = make_table();
  return table;
}

}  // namespace tenon
