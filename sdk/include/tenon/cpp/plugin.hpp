// TENON_PLUGIN(id, version, Layers...): the two exported symbols, as constant data.
#pragma once

#include <cstddef>
#include <string_view>

#include "tenon/cpp/layer.hpp"
#include "tenon/plugin.h"

namespace tenon __attribute__((visibility("hidden"))) {
  namespace detail {

  template <typename T>
  inline constexpr tenon_layer_type kLayerTable = make_table<T>();

  template <typename... Layers>
  inline constexpr const tenon_layer_type* kLayerTables[] = {&kLayerTable<Layers>...};

  inline tenon_status remember_host(const tenon_host* table, tenon_error*) {
    host = table;
    return TENON_OK;
  }

  template <std::size_t N>
  constexpr void copy_text(char (&to)[N], std::string_view from) {
    for (std::size_t i = 0; i < from.size() && i + 1 < N; ++i) to[i] = from[i];
  }

  template <typename... Layers>
  constexpr tenon_plugin make_plugin(const char* id, const char* version) {
    tenon_plugin plugin{};
    plugin.struct_size = sizeof(tenon_plugin);
    plugin.abi_major = TENON_ABI_MAJOR;
    plugin.abi_minor = TENON_ABI_MINOR;
    plugin.min_host_minor = 1;
    plugin.id = id;
    plugin.version = version;
    plugin.compiler = __VERSION__;
    plugin.sdk_version = TENON_SDK_VERSION;
    plugin.n_layer_types = sizeof...(Layers);
    plugin.layer_types = kLayerTables<Layers...>;
    plugin.init = remember_host;
    return plugin;
  }

  constexpr tenon_stamp make_stamp(std::string_view id, std::string_view version) {
    tenon_stamp stamp{};
    for (std::size_t i = 0; i < sizeof stamp.magic; ++i) stamp.magic[i] = TENON_STAMP_MAGIC[i];
    stamp.struct_size = sizeof(tenon_stamp);
    stamp.kind = TENON_STAMP_LAYERS;
    stamp.abi_major = TENON_ABI_MAJOR;
    stamp.abi_minor = TENON_ABI_MINOR;
    stamp.min_host_minor = 1;
    stamp.pointer_bits = 8 * sizeof(void*);
    copy_text(stamp.id, id);
    copy_text(stamp.version, version);
    copy_text(stamp.sdk_version, TENON_SDK_VERSION);
    return stamp;
  }

  }  // namespace detail
}  // namespace tenon

#define TENON_PLUGIN(plugin_id, plugin_version, ...)                                           \
  static_assert(sizeof(plugin_id) <= sizeof(tenon_stamp::id), "the id is too long");           \
  extern "C" {                                                                                 \
  constexpr tenon_plugin tenon_plugin_v0 =                                                     \
      tenon::detail::make_plugin<__VA_ARGS__>(plugin_id, plugin_version);                      \
  constexpr tenon_stamp tenon_stamp_v0 = tenon::detail::make_stamp(plugin_id, plugin_version); \
  }
