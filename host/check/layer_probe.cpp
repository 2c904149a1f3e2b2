#include "check/layer_probe.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "check/host_probe.h"
#include "check/lent_tensors.h"
#include "check/watched_call.h"
#include "plugin/handles.h"
#include "plugin/sized_struct.h"

namespace tenon {
namespace {

// The layer type under check: what this host knows of it, and the plugin's own table.
tenon_layer_type& original() {
  static tenon_layer_type table{};
  return table;
}
const tenon_layer_type*& original_self() {
  static const tenon_layer_type* self = nullptr;
  return self;
}

// A copy of a call, in memory that becomes rubbish when the call returns and is never used again.
class LentCall {
 public:
  explicit LentCall(const tenon_call& call)
      : inputs_("input", call.inputs, call.n_inputs),
        weights_("weight", call.weights, call.n_weights),
        call_(new tenon_call(call)) {
    for (std::uint32_t i = 0; i < call.n_adapters; ++i) {
      const tenon_adapter& adapter = *call.adapters[i];
      parameters_.push_back(
          std::make_unique<LentTensors>("parameter", adapter.params, adapter.n_params));
      adapters_.push_back(new tenon_adapter(adapter));
      adapters_.back()->params = parameters_.back()->handles();
      if (adapter.rows == nullptr) continue;
      parameters_.push_back(std::make_unique<LentTensors>("rows", &adapter.rows, 1));
      adapters_.back()->rows = *parameters_.back()->handles();
    }
    call_->inputs = call.inputs != nullptr ? inputs_.handles() : nullptr;
    call_->weights = weights_.handles();
    call_->adapters = adapters_.data();
  }
  // The structs are left behind on purpose, as a plugin that kept a pointer may look at them.
  ~LentCall() {
    constexpr int kRubbish = 0xDB;
    for (tenon_adapter* adapter : adapters_) std::memset(adapter, kRubbish, sizeof *adapter);
    std::memset(call_, kRubbish, sizeof *call_);
  }
  LentCall(const LentCall&) = delete;
  LentCall& operator=(const LentCall&) = delete;

  const tenon_call& call() const { return *call_; }
  void check(const std::string& function) const {
    inputs_.check(function);
    weights_.check(function);
    for (const auto& parameters : parameters_) parameters->check(function);
  }

 private:
  LentTensors inputs_;
  LentTensors weights_;
  std::vector<std::unique_ptr<LentTensors>> parameters_;
  std::vector<tenon_adapter*> adapters_;
  tenon_call* call_;
};

tenon_status validate(const tenon_layer_type*, const tenon_host*, const tenon_base* base,
                      const tenon_setup* setup, tenon_error* error) {
  WatchedCall watched("validate", {base, setup, error});
  const tenon_status status = watched.run(
      [&] { return original().validate(original_self(), &probe().table(), base, setup, error); },
      error);
  if (status == TENON_UNSUPPORTED) probe().note_refusal();
  watched.finish();
  return status;
}

tenon_status add_adapter(const tenon_layer_type*, const tenon_host*, const tenon_base* base,
                         tenon_setup* setup, tenon_error* error) {
  WatchedCall watched("add_adapter", {base, setup, error});
  const tenon_status status = watched.run(
      [&] { return original().add_adapter(original_self(), &probe().table(), base, setup, error); },
      error);
  if (status == TENON_UNSUPPORTED) probe().note_refusal();
  watched.finish();
  return status;
}

tenon_status prepare(const tenon_layer_type*, const tenon_host*, const tenon_base* base,
                     const tenon_setup* setup, void** state, tenon_error* error) {
  WatchedCall watched("prepare", {base, setup, error});
  const tenon_status status = watched.run(
      [&] {
        return original().prepare(original_self(), &probe().table(), base, setup, state, error);
      },
      error);
  watched.finish();
  return status;
}

void release(const tenon_layer_type*, const tenon_host*, const tenon_base* base, void* state) {
  WatchedCall watched("release", {base});
  watched.run(
      [&] {
        original().release(original_self(), &probe().table(), base, state);
        return TENON_OK;
      },
      nullptr);
  watched.finish();
}

tenon_status initialise(const tenon_layer_type*, const tenon_host*, const tenon_base* base,
                        const tenon_setup* setup, const tenon_start* start, tenon_error* error) {
  WatchedCall watched("initialise", {base, setup, error});
  const LentTensors weights("weight", start->weights, start->n_weights);
  const LentTensors parameters("parameter", start->params, start->n_params);
  std::vector<tenon_tensor> new_parameters(start->n_params);
  std::vector<tenon_tensor> new_weights(start->n_weights);
  tenon_start lent = *start;
  lent.weights = weights.handles();
  lent.params = parameters.handles();
  lent.params_owned = new_parameters.data();
  lent.weights_owned = new_weights.data();
  const tenon_status status = watched.run(
      [&] {
        return original().initialise(original_self(), &probe().table(), base, setup, &lent, error);
      },
      error);
  take_outputs("initialise", status, true, new_parameters, start->params_owned);
  take_outputs("initialise", status, true, new_weights, start->weights_owned);
  watched.finish();
  weights.check("initialise");
  parameters.check("initialise");
  return status;
}

tenon_status forward(const tenon_layer_type*, const tenon_host*, const tenon_base* base,
                     const tenon_call* call, tenon_tensor* outputs, tenon_error* error) {
  WatchedCall watched("forward", {base, call->context, error});
  const LentCall lent(*call);
  std::vector<tenon_tensor> written(call->n_outputs);
  const tenon_status status = watched.run(
      [&] {
        return original().forward(original_self(), &probe().table(), base, &lent.call(),
                                  written.data(), error);
      },
      error);
  take_outputs("forward", status, false, written, outputs);
  watched.finish();
  lent.check("forward");
  return status;
}

tenon_status merged_weight(const tenon_layer_type*, const tenon_host*, const tenon_base* base,
                           const tenon_call* call, std::uint32_t weight, tenon_tensor* out,
                           tenon_error* error) {
  WatchedCall watched("merged_weight", {base, error});
  const LentCall lent(*call);
  std::vector<tenon_tensor> written(1);
  const tenon_status status = watched.run(
      [&] {
        return original().merged_weight(original_self(), &probe().table(), base, &lent.call(),
                                        weight, written.data(), error);
      },
      error);
  take_outputs("merged_weight", status, true, written, out);
  watched.finish();
  lent.check("merged_weight");
  return status;
}

const void* extension(const tenon_layer_type*, const char* id) {
  return original().extension(original_self(), id);
}

// Those functions that the layer type has.
tenon_layer_type watched_table(const tenon_layer_type& table) {
  tenon_layer_type watched = table;
  if (table.validate != nullptr) watched.validate = validate;
  if (table.add_adapter != nullptr) watched.add_adapter = add_adapter;
  if (table.prepare != nullptr) watched.prepare = prepare;
  if (table.release != nullptr) watched.release = release;
  if (table.initialise != nullptr) watched.initialise = initialise;
  if (table.forward != nullptr) watched.forward = forward;
  if (table.merged_weight != nullptr) watched.merged_weight = merged_weight;
  if (table.extension != nullptr) watched.extension = extension;
  return watched;
}

tenon_plugin with_one_layer(const tenon_plugin& plugin, const std::string& layer_id,
                            const tenon_layer_type* const* layer) {
  const auto* end = plugin.layer_types + plugin.n_layer_types;
  const auto* found = std::find_if(
      plugin.layer_types, end, [&](const tenon_layer_type* type) { return layer_id == type->id; });
  if (found == end) throw std::invalid_argument("the plugin has no layer type " + layer_id);
  original() = read_sized(**found);
  original_self() = *found;
  tenon_plugin with_one = plugin;
  with_one.layer_types = layer;
  with_one.n_layer_types = 1;
  return with_one;
}

}  // namespace

tenon_plugin watch_layer(const tenon_plugin& plugin, const std::string& layer_id) {
  static tenon_layer_type watched{};
  static const tenon_layer_type* const kWatched[] = {&watched};
  const tenon_plugin with_one = with_one_layer(plugin, layer_id, kWatched);
  watched = watched_table(original());
  return with_one;
}

tenon_plugin watch_merging(const tenon_plugin& plugin, const std::string& layer_id) {
  static tenon_layer_type watched{};
  static const tenon_layer_type* const kWatched[] = {&watched};
  const tenon_plugin with_one = with_one_layer(plugin, layer_id, kWatched);
  watched = watched_table(original());
  watched.forward = nullptr;
  return with_one;
}

}  // namespace tenon
