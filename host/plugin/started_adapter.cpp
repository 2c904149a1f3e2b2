#include "plugin/started_adapter.h"

#include <algorithm>

#include "base/printable.h"
#include "plugin/declared_value.h"
#include "plugin/host_fence.h"

namespace tenon {
namespace {

constexpr std::size_t kMostNote = 2000;

tenon_status no_such(tenon_error* error, const char* what) {
  return set_failure(error, TENON_INVALID_ARGUMENT, std::string("there is no such ") + what);
}

void name_layer(tenon_started& started, std::uint32_t layer) {
  if (std::ranges::find(started.named, layer) == started.named.end()) {
    started.named.push_back(layer);
  }
}

tenon_status start_parameter(tenon_started* started, std::uint32_t layer, const char* name,
                             tenon_tensor tensor, tenon_error* error) {
  return fenced(error, [&] {
    if (layer >= started->layers.size()) return no_such(error, "layer");
    if (tensor == nullptr || name == nullptr) return no_such(error, "parameter or tensor");
    started->layers[layer].parameters.insert_or_assign(name, from_handle(tensor).detach());
    return static_cast<tenon_status>(TENON_OK);
  });
}

tenon_status start_weight(tenon_started* started, std::uint32_t layer, std::uint32_t weight,
                          tenon_tensor tensor, tenon_error* error) {
  return fenced(error, [&] {
    if (layer >= started->layers.size()) return no_such(error, "layer");
    tenon_started::Layer& its = started->layers[layer];
    if (tensor == nullptr || weight >= its.n_weights) return no_such(error, "weight or tensor");
    its.weights.emplace_back(weight, from_handle(tensor).detach());
    return static_cast<tenon_status>(TENON_OK);
  });
}

tenon_status start_key(tenon_started* started, std::uint32_t layer, const char* key,
                       const tenon_value* value, tenon_error* error) {
  return fenced(error, [&] {
    if (layer >= started->layers.size()) return no_such(error, "layer");
    OptionTable fitting;
    const tenon_status status = put_declared(*started->declared, key, *value, fitting, error);
    if (status != TENON_OK) return status;
    const auto declared =
        std::ranges::find(*started->declared, std::string(key), &DeclaredOption::key);
    if (declared->pattern_key.empty()) {
      return set_failure(error, TENON_INVALID_ARGUMENT,
                         "`" + std::string(key) + "` has no table of patterns beside it");
    }
    started->keys[key].emplace_back(layer, fitting.at(key));
    name_layer(*started, layer);
    return static_cast<tenon_status>(TENON_OK);
  });
}

tenon_status leave_out(tenon_started* started, std::uint32_t layer, tenon_error* error) {
  return fenced(error, [&] {
    if (layer >= started->layers.size()) return no_such(error, "layer");
    started->layers[layer].is_left_out = true;
    name_layer(*started, layer);
    return static_cast<tenon_status>(TENON_OK);
  });
}

tenon_status note_start(tenon_started* started, const char* text, tenon_error* error) {
  return fenced(error, [&] {
    started->notes.push_back(printable_excerpt(text == nullptr ? "" : text, kMostNote));
    return static_cast<tenon_status>(TENON_OK);
  });
}

}  // namespace

const tenon_data_start_host& data_start_host() {
  static const tenon_data_start_host table{sizeof(tenon_data_start_host),
                                           0,
                                           start_parameter,
                                           start_weight,
                                           start_key,
                                           leave_out,
                                           note_start};
  return table;
}

}  // namespace tenon
