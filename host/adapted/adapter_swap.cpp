// Adapters that take the place of others on their layers: a swap, another scale.
#include <algorithm>
#include <map>
#include <mutex>

#include "adapted/adapted_model.h"
#include "base/error.h"
#include "base/log.h"
#include "base/suggest.h"

namespace tenon {
namespace {

bool is_among(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::count(names, name) > 0;
}

[[noreturn]] void fail_exchange(const std::string& message, const std::string& hint) {
  throw Error({.stage = Stage::kInjection, .message = message, .hint = hint});
}

}  // namespace

void AdaptedModel::exchange(SlotPlaces& places, const std::string& adapter) noexcept {
  for (SlotPlace& place : places) place.layer->exchange(adapter, place.node);
}

// For every layer that one of the two is on, what it gets: the layer_adapter of `after`, or none.
AdaptedModel::SlotPlaces AdaptedModel::slot_places(const AdapterInstance* before,
                                                   const AdapterInstance* after,
                                                   const Sites& opened) const {
  SlotPlaces places;
  // The place of a layer that has none yet; a second one would undo what the first does.
  const auto add_place = [&](ModuleId module) -> SlotPlace* {
    const auto known = sites_.find(module);
    const auto& layer = known == sites_.end() ? opened.at(module).layer : known->second.layer;
    const bool is_there =
        std::ranges::any_of(places, [&](const SlotPlace& place) { return place.layer == layer; });
    return is_there ? nullptr : &places.emplace_back(SlotPlace{layer, {}});
  };
  AdaptedLayer::Slots one;  // makes nodes
  if (after != nullptr) {
    for (const PlacedLayerAdapter& placed : after->layer_adapters) {
      SlotPlace* place = add_place(placed.site.module);
      if (place == nullptr) continue;
      place->node = one.extract(one.emplace(after->config.name, placed.layer_adapter).first);
    }
  }
  if (before != nullptr) {
    for (const PlacedLayerAdapter& placed : before->layer_adapters) add_place(placed.site.module);
  }
  return places;
}

std::unique_ptr<AdapterInstance> AdaptedModel::swap_adapter(
    std::unique_ptr<AdapterInstance> adapter) {
  exchange_adapter(adapter);
  return adapter;
}

void AdaptedModel::exchange_adapter(std::unique_ptr<AdapterInstance>& adapter) {
  const std::string name = adapter->config.name;
  require({name});
  if (is_among(merged_, name)) {
    fail_exchange("the adapter " + name + " is merged, so it cannot be swapped",
                  "unmerge it first");
  }
  check_sites(*adapter);
  std::unique_ptr<AdapterInstance>& place = *find_adapter(name);
  auto layer_adapters = place->scale == adapter->scale
                            ? std::vector<std::shared_ptr<const LayerAdapter>>()
                            : adapter->rescaled(place->scale);
  const bool trains =
      std::ranges::any_of(place->tensors, [](const auto& t) { return t.tensor.requires_grad(); });
  Sites opened = new_sites(*adapter);
  Running next = running_;
  if (!opened.empty()) next = build(sites_with(opened));
  const auto take_scale = [&] {
    for (std::size_t i = 0; i < layer_adapters.size(); ++i)
      std::swap(adapter->layer_adapters[i].layer_adapter, layer_adapters[i]);
  };
  take_scale();
  SlotPlaces places;
  try {
    places = slot_places(place.get(), adapter.get(), opened);
  } catch (...) {
    take_scale();
    throw;
  }
  const std::unique_lock lock(*set_);
  std::swap(place, adapter);
  exchange(places, name);
  try {
    check_bias(*place);
    check_saved(is_among(active_, name) ? active_ : std::vector{name});
    check_count(active_);
    if (is_among(active_, name) || !opened.empty()) {
      next.layers = choose(sites_with(opened), active_);
    }
  } catch (...) {
    exchange(places, name);
    std::swap(place, adapter);
    take_scale();
    throw;
  }
  place->set_requires_grad(trains);
  place->scale = adapter->scale;
  sites_.merge(opened);
  running_ = std::move(next);
}

void AdaptedModel::rescale(const std::string& name, double factor) {
  require({name});
  if (is_among(merged_, name)) {
    fail_exchange("the adapter " + name + " is merged, so it cannot be rescaled",
                  "unmerge it first");
  }
  AdapterInstance& adapter = **find_adapter(name);
  if (adapter.method != nullptr && !adapter.method->scales()) {
    fail_exchange("the adapter " + name + " cannot be rescaled: adapters of the method " +
                      adapter.method->name() + " do not scale",
                  "a factor would change nothing; leave it out");
  }
  auto layer_adapters = adapter.rescaled(factor);
  const auto take = [&] {
    for (std::size_t i = 0; i < layer_adapters.size(); ++i)
      std::swap(adapter.layer_adapters[i].layer_adapter, layer_adapters[i]);
  };
  take();
  SlotPlaces places;
  try {
    places = slot_places(&adapter, &adapter, {});
  } catch (...) {
    take();
    throw;
  }
  const std::unique_lock lock(*set_);
  exchange(places, name);
  try {
    if (is_among(active_, name)) running_.layers = choose(active_);
  } catch (...) {
    exchange(places, name);
    take();
    throw;
  }
  adapter.scale = factor;
}

}  // namespace tenon
