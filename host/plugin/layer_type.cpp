#include "plugin/layer_type.h"

#include <algorithm>
#include <cmath>

#include "plugin/host_table.h"
#include "plugin/plugin_offer.h"
#include "plugin/plugin_registry.h"
#include "plugin/running_plugin.h"
#include "plugin/sized_struct.h"

namespace tenon {
namespace {

// What a plugin wrote, taken over; one that is left empty is undefined.
std::vector<at::Tensor> take_all(std::span<const tenon_tensor> handles) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(handles.size());
  for (const tenon_tensor handle : handles) tensors.push_back(take_handle(handle));
  return tensors;
}

bool all_defined(const std::vector<at::Tensor>& tensors) {
  return std::all_of(tensors.begin(), tensors.end(),
                     [](const at::Tensor& tensor) { return tensor.defined(); });
}

template <typename Extension>
const Extension* find_extension(const tenon_layer_type& table, const tenon_layer_type& self,
                                const char* id) {
  if (table.extension == nullptr) return nullptr;
  const RunningPlugin running(table.id, "extension");
  return static_cast<const Extension*>(table.extension(&self, id));
}

// "tenon.road: mergeable: " before the reason, by which the C++ kit names the function.
std::string without_function(const std::string& text, const std::string& id) {
  const std::string prefix = id + ": mergeable: ";
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

}  // namespace

LayerType::LayerType(const tenon_layer_type& table, const PluginInfo& plugin)
    : self_(&table),
      table_(read_sized(table)),
      plugin_(&plugin),
      options_(read_declarations(table_.options, table_.n_options)),
      siblings_(find_extension<tenon_siblings>(table_, table, TENON_SIBLINGS)),
      mergeable_(find_extension<tenon_mergeable>(table_, table, TENON_MERGEABLE)),
      groups_(find_extension<tenon_groups>(table_, table, TENON_GROUPS)) {
  const auto* factors = find_extension<tenon_layer_factors>(table_, table, TENON_FACTORS);
  if (factors != nullptr) factors_.emplace(*factors->form);
}

std::vector<std::string> LayerType::base_types() const {
  return split_base_types(table_.base_types);
}

std::vector<ParameterSpec> LayerType::declare(const LayerFacts& base, tenon_setup& setup) const {
  const RunningPlugin running(table_.id, "add_adapter");
  tenon_error error;
  if (table_.validate != nullptr &&
      table_.validate(self_, &host_table(), &base, &setup, &error) != TENON_OK) {
    throw_failure(at(Stage::kInjection, base, "validate"), error);
  }
  if (table_.add_adapter(self_, &host_table(), &base, &setup, &error) != TENON_OK) {
    throw_failure(at(Stage::kInjection, base, "add_adapter"), error);
  }
  if (setup.parameters.empty()) {
    throw_bug(at(Stage::kInjection, base, "add_adapter"), "add_adapter declared no parameter");
  }
  return setup.parameters;
}

std::string LayerType::merge_obstacle(const LayerFacts& base, const tenon_setup& setup) const {
  if (!can_merge()) return id() + " has no merged weight";
  if (mergeable_ == nullptr) return "";
  const RunningPlugin running(table_.id, "mergeable");
  tenon_error error;
  const tenon_status status = mergeable_->check(self_, &host_table(), &base, &setup, &error);
  if (status == TENON_OK) return "";
  if (status != TENON_UNSUPPORTED || error.text.empty()) {
    throw_failure(at(Stage::kInjection, base, "mergeable"), error);
  }
  return without_function(error.text, id());
}

LayerType::Grouped LayerType::group(const LayerFacts& base, const tenon_setup& setup,
                                    std::uint32_t parameter) const {
  Grouped grouped{.is_told = groups_ != nullptr, .group = {}};
  grouped.group.struct_size = sizeof grouped.group;
  grouped.group.learning_rate = 1;
  grouped.group.weight_decay = 1;
  grouped.group.down = -1;
  if (groups_ == nullptr) return grouped;
  const RunningPlugin running(table_.id, "group");
  tenon_error error;
  if (groups_->group(self_, &host_table(), &base, &setup, parameter, &grouped.group, &error) !=
      TENON_OK) {
    throw_failure(at(Stage::kInjection, base, "group"), error);
  }
  const tenon_group& told = grouped.group;
  const bool is_down =
      told.down >= -1 && told.down < static_cast<std::int32_t>(setup.parameters.size());
  if (!is_down || !(told.learning_rate >= 0) || !(told.weight_decay >= 0) ||
      !std::isfinite(told.learning_rate) || !std::isfinite(told.weight_decay)) {
    throw_bug(at(Stage::kInjection, base, "group"), "group gave a factor or number that cannot be");
  }
  return grouped;
}

std::shared_ptr<void> LayerType::prepare(std::shared_ptr<const LayerFacts> base,
                                         const tenon_setup& setup) const {
  if (table_.prepare == nullptr) return nullptr;
  const RunningPlugin running(table_.id, "prepare");
  tenon_error error;
  void* state = nullptr;
  if (table_.prepare(self_, &host_table(), base.get(), &setup, &state, &error) != TENON_OK) {
    throw_failure(at(Stage::kInjection, *base, "prepare"), error);
  }
  return {state, [self = self_, release = table_.release, base = std::move(base)](void* made) {
            if (made == nullptr || release == nullptr) return;
            const RunningPlugin releasing(self->id, "release");
            release(self, &host_table(), base.get(), made);
          }};
}

LayerType::Started LayerType::initialise(const LayerFacts& base, const tenon_setup& setup,
                                         tenon_start start) const {
  Started started;
  if (table_.initialise == nullptr) return started;
  std::vector<tenon_tensor> parameters(start.n_params);
  std::vector<tenon_tensor> weights(start.n_weights);
  start.struct_size = sizeof start;
  start.params_owned = parameters.data();
  start.weights_owned = weights.data();
  tenon_error error;
  const RunningPlugin running(table_.id, "initialise");
  const tenon_status status =
      table_.initialise(self_, &host_table(), &base, &setup, &start, &error);
  started.parameters = take_all(parameters);
  started.weights = take_all(weights);
  if (status != TENON_OK) throw_failure(at(Stage::kInjection, base, "initialise"), error);
  return started;
}

std::vector<at::Tensor> LayerType::forward(const LayerFacts& base, const tenon_call& call) const {
  constexpr std::size_t kInlineOutputs = 8;
  tenon_tensor few[kInlineOutputs] = {};
  std::vector<tenon_tensor> many;
  tenon_tensor* handles = few;
  if (call.n_outputs > kInlineOutputs) {
    many.resize(call.n_outputs);
    handles = many.data();
  }
  tenon_error error;
  const RunningPlugin running(table_.id, "forward");
  if (table_.forward(self_, &host_table(), &base, &call, handles, &error) != TENON_OK) {
    throw_failure(at(Stage::kPlugins, base, "forward"), error);
  }
  std::vector<at::Tensor> outputs = take_all({handles, call.n_outputs});
  if (!all_defined(outputs)) {
    throw_bug(at(Stage::kPlugins, base, "forward"), "forward left an output empty");
  }
  return outputs;
}

std::vector<at::Tensor> LayerType::forward_siblings(
    std::span<const LayerFacts* const> bases, std::span<const tenon_call* const> calls) const {
  const std::vector<const tenon_base*> facts(bases.begin(), bases.end());
  std::vector<tenon_tensor> handles(calls.size());
  tenon_error error;
  const RunningPlugin running(table_.id, "siblings");
  if (siblings_->forward(self_, &host_table(), facts.data(), calls.data(),
                         static_cast<std::uint32_t>(calls.size()), handles.data(),
                         &error) != TENON_OK) {
    throw_failure(at(Stage::kPlugins, *bases[0], "siblings"), error);
  }
  std::vector<at::Tensor> outputs = take_all(handles);
  if (!all_defined(outputs)) {
    throw_bug(at(Stage::kPlugins, *bases[0], "siblings"), "siblings left an output empty");
  }
  return outputs;
}

at::Tensor LayerType::merged_weight(const LayerFacts& base, const tenon_call& call,
                                    std::uint32_t weight) const {
  tenon_error error;
  const RunningPlugin running(table_.id, "merged_weight");
  tenon_tensor handle = nullptr;
  if (table_.merged_weight(self_, &host_table(), &base, &call, weight, &handle, &error) !=
      TENON_OK) {
    throw_failure(at(Stage::kPlugins, base, "merged_weight"), error);
  }
  return take_handle(handle);
}

}  // namespace tenon
