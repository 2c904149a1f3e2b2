// What AdaptedModel does to its adapters after they are made: PEFT's add_adapter, set_adapter,
// delete_adapter and their kin. (Merging is adapter_merge.cpp's.)
#include <algorithm>
#include <mutex>

#include "adapted/adapted_model.h"
#include "base/error.h"
#include "base/log.h"
#include "base/suggest.h"

namespace tenon {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

[[noreturn]] void fail(const std::string& message, const std::string& hint) {
  throw Error({.stage = Stage::kInjection, .message = message, .hint = hint});
}

bool overlap(const std::string& one, const std::string& other) {
  return one == other || one.starts_with(other + ".") || other.starts_with(one + ".");
}

}  // namespace

AdaptedModel::Adapters::iterator AdaptedModel::find_adapter(const std::string& name) {
  return std::ranges::find(adapters_, name, [](const auto& a) { return a->config.name; });
}

AdaptedModel::Adapters::const_iterator AdaptedModel::find_adapter(const std::string& name) const {
  return std::ranges::find(adapters_, name, [](const auto& a) { return a->config.name; });
}

void AdaptedModel::share_facts(InjectionPlan& plan) const {
  for (PlannedLayer& planned : plan.layers) {
    const auto site = sites_.find(planned.module);
    if (site == sites_.end()) continue;
    for (const auto& [name, placed] : site->second.layer->layer_adapters()) {
      if (placed->layer_type() != planned.layer_type) continue;
      if (placed->facts().description() == planned.facts->description()) {
        planned.facts = placed->shared_facts();
      }
      break;  // of one layer type they differ at most in what target_parameters names
    }
  }
}

std::vector<std::string> AdaptedModel::adapter_names() const {
  std::vector<std::string> names;
  for (const auto& adapter : adapters_) names.push_back(adapter->config.name);
  return names;
}

const AdapterInstance& AdaptedModel::adapter(const std::string& name) const {
  const auto found = find_adapter(name);
  if (found == adapters_.end()) require({name});  // tells which there are
  return **found;
}

void AdaptedModel::require(const std::vector<std::string>& names) const {
  std::vector<std::string> unknown;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (find_adapter(names[i]) == adapters_.end()) unknown.push_back(names[i]);
    if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) !=
        names.begin() + static_cast<std::ptrdiff_t>(i)) {
      fail("the adapter " + names[i] + " is named twice", "name each adapter once");
    }
  }
  if (unknown.empty()) return;
  const std::vector<std::string> known =
      adapter_names();  // a copy of a thousand names takes a while
  fail("Adapter " + join(unknown) + " not found",
       known.empty() ? "the model has no adapter" : "the model has: " + join(known));
}

// One module runs with the weights of one adapter (PEFT: ModulesToSaveWrapper.check_set_adapter).
void AdaptedModel::check_saved(const std::vector<std::string>& names) const {
  std::vector<std::pair<std::string, std::string>> savers;  // path, adapter
  for (const std::string& name : names) {
    for (const std::string& path : adapter(name).saved) {
      for (const auto& [other, saver] : savers) {
        if (saver == name || !overlap(path, other)) continue;
        std::string text = "Only one adapter can be set at a time for `";
        text.append(path).append("`: ").append(saver).append(" and ").append(name);
        fail(text.append(" both save it whole"),
             "set one of them active at a time, or take the module out of one's modules_to_save");
      }
      savers.emplace_back(path, name);
    }
  }
}

// A method may bound how many of its adapters run at once (tenon_method.max_active).
void AdaptedModel::check_count(const std::vector<std::string>& names) const {
  std::map<const Method*, std::vector<std::string>> by_method;
  for (const std::string& name : names) by_method[adapter(name).method].push_back(name);
  for (const auto& [method, together] : by_method) {
    if (method == nullptr || method->max_active() == 0) continue;
    if (together.size() <= method->max_active()) continue;
    fail("the method " + method->name() + " runs at most " + std::to_string(method->max_active()) +
             " adapter" + (method->max_active() == 1 ? "" : "s") + " at once, not " +
             join(together) + " together",
         "set fewer of them active at a time");
  }
}

// The base has one set of biases to train (PEFT: BaseTuner._check_new_adapter_config).
void AdaptedModel::check_bias(const AdapterInstance& adapter) const {
  if (adapter.config.bias == "none") return;
  for (const auto& other : adapters_) {
    if (other->config.bias == "none" || other.get() == &adapter) continue;
    fail("only one adapter can have a bias: " + other->config.name + " has bias = \"" +
             other->config.bias + "\" and " + adapter.config.name + " has bias = \"" +
             adapter.config.bias + "\"",
         "when using multiple adapters, set bias to \"none\" for all others");
  }
}

std::shared_ptr<const ActiveLayers> AdaptedModel::choose(
    const std::vector<const Site*>& sites, const std::vector<std::string>& names) const {
  auto layers = std::make_shared<ActiveLayers>(model_.tree.modules.size());
  for (const Site* site : sites) {
    layers->set(*site->layer, enabled_ ? site->layer->choose(names) : site->layer->choose_base());
  }
  return layers;
}

std::shared_ptr<const ActiveLayers> AdaptedModel::choose(
    const std::vector<std::string>& names) const {
  return choose(sites_with({}), names);
}

void AdaptedModel::add_adapter(const InjectionPlan& plan, std::uint64_t seed) {
  add_adapter(place_adapter(model_, plan, seed));
}

void AdaptedModel::add_adapter(std::unique_ptr<AdapterInstance> adapter) {
  const std::string& name = adapter->config.name;
  if (find_adapter(name) != adapters_.end()) {
    fail("Adapter with name '" + name + "' already exists.", "give it another name");
  }
  check_bias(*adapter);
  check_sites(*adapter);
  const bool is_first = adapters_.empty();
  Sites opened = new_sites(*adapter);
  Running next = running_;
  if (!opened.empty() || next.program == nullptr) next = build(sites_with(opened));
  SlotPlaces places = slot_places(nullptr, adapter.get(), opened);
  std::vector<std::string> active = is_first ? std::vector{name} : active_;
  {
    const std::unique_lock lock(*set_);
    adapters_.reserve(adapters_.size() + 1);
    exchange(places, name);
    try {
      // What is active runs as before, unless there are new layers to run.
      if (is_first || !opened.empty()) next.layers = choose(sites_with(opened), active);
    } catch (...) {
      exchange(places, name);
      throw;
    }
    sites_.merge(opened);
    adapter->set_requires_grad(is_first);
    adapters_.push_back(std::move(adapter));
    active_ = std::move(active);
    running_ = std::move(next);
  }
}

void AdaptedModel::delete_adapter(const std::string& name) {
  const auto place = find_adapter(name);
  if (place == adapters_.end()) {
    fail("Adapter " + name + " does not exist", "the model has: " + join(adapter_names()));
  }
  if (contains(merged_, name)) {
    fail("Cannot delete the adapter " + name + " while it is merged", "unmerge it first");
  }
  std::vector<std::string> active = active_;
  const bool was_active = std::erase(active, name) > 0;
  std::vector<std::string> rest = adapter_names();
  std::erase(rest, name);
  const bool another = was_active && active.empty() && !rest.empty();
  if (another) {
    active = {*std::ranges::min_element(rest)};
    log::warning("the adapter " + name + " was active and is deleted; " + active.front() +
                 " is active now");
  }
  const std::vector<const Site*> left = sites_without(**place);
  SlotPlaces places = slot_places(place->get(), nullptr, {});
  Running next = running_;
  if (left.size() != sites_.size()) next = build(left);
  if (was_active || left.size() != sites_.size()) next.layers = choose(left, active);
  const std::unique_lock lock(*set_);
  exchange(places, name);
  std::erase_if(sites_,
                [](const auto& entry) { return entry.second.layer->layer_adapters().empty(); });
  adapters_.erase(place);
  if (another) {
    for (const auto& adapter : adapters_) {
      adapter->set_requires_grad(contains(active, adapter->config.name));
    }
  }
  active_ = std::move(active);
  running_ = std::move(next);
}

void AdaptedModel::set_active(const std::vector<std::string>& names, bool trainable) {
  require(names);
  check_saved(names);
  check_count(names);
  if (!merged_.empty()) {
    log::warning("Adapter cannot be set when the model is merged. Unmerging the model first.");
    change_merged({}, std::vector<std::vector<at::Tensor>>(sites_.size()), names);
  } else {
    std::vector<std::string> active = names;
    auto layers = choose(names);
    const std::unique_lock lock(*set_);
    running_.layers = std::move(layers);
    active_ = std::move(active);
  }
  for (const auto& adapter : adapters_) {
    adapter->set_requires_grad(trainable && contains(names, adapter->config.name));
  }
}

void AdaptedModel::set_trainable(const std::string& name, bool trainable) {
  require({name});
  (*find_adapter(name))->set_requires_grad(trainable);
}

void AdaptedModel::set_enabled(bool enabled) {
  const std::unique_lock lock(*set_);
  std::swap(enabled_, enabled);
  try {
    running_.layers = choose(active_);
  } catch (...) {
    std::swap(enabled_, enabled);
    throw;
  }
}

}  // namespace tenon
