#include "index/known_plugins.h"

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "base/log.h"
#include "index/host_fit.h"
#include "index/trusted_keys.h"
#include "plugin/plugin_registry.h"
#include "plugin/user_folder.h"

namespace tenon {
namespace {

std::string find_line(const std::function<bool(const IndexedPlugin&)>& is_wanted) {
  const auto data = user_data_folder();
  if (!data) return "";
  const HostFacts host = this_host();
  try {
    const TrustedKeys trusted = read_trusted_keys(*data);
    for (const KnownIndex& known : trusted.indexes) {
      const auto copy = trusted.has(known.key) ? known_copy(*data, known.url) : std::nullopt;
      if (!copy) continue;
      const SignedIndex index = read_known_index(*copy, known.url);
      for (const IndexedPlugin& plugin : index.index.plugins) {
        if (is_wanted(plugin) && newest_fitting(plugin, host) != nullptr) {
          return "tenon plugin install " + known.url + " " + plugin.id;
        }
      }
    }
  } catch (const Error& error) {
    // What is told is another failure.
    log::warning(std::string("the known indexes of plugins cannot be read: ") + error.what());
  }
  return "";
}

}  // namespace

std::string line_that_installs(const std::string& plugin_id) {
  return find_line([&](const IndexedPlugin& plugin) { return plugin.id == plugin_id; });
}

std::string line_that_serves(const std::string& method, const std::string& type) {
  return find_line([&](const IndexedPlugin& plugin) {
    return std::ranges::any_of(plugin.serves, [&](const IndexedLayers& layers) {
      return layers.method == method &&
             std::ranges::any_of(layers.types,
                                 [&](const std::string& each) { return serves(each, type); });
    });
  });
}

std::string line_that_offers(const std::string& method) {
  return find_line([&](const IndexedPlugin& plugin) {
    return std::ranges::find(plugin.methods, method) != plugin.methods.end();
  });
}

}  // namespace tenon
