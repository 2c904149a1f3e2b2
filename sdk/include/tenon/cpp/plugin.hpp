// TENON_PLUGIN(id, version, Layers and Methods...): the two exported symbols, as constant data.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "tenon/cpp/layer.hpp"
#include "tenon/cpp/method.hpp"
#include "tenon/plugin.h"

namespace tenon __attribute__((visibility("hidden"))) {
  namespace detail {

  template <typename T>
  inline constexpr tenon_layer_type kLayerTable = make_table<T>();
  template <typename T>
  inline constexpr tenon_method kMethodTable = make_method<T>();

  // Of the parts of a plugin, the layers' tables and the methods' tables.
  template <typename... Parts>
  struct Tables {
    static constexpr std::size_t kMethodCount = (0 + ... + (IsMethod<Parts> ? 1 : 0));
    static constexpr std::size_t kLayerCount = sizeof...(Parts) - kMethodCount;

    static constexpr auto kLayers = [] {
      std::array<const tenon_layer_type*, std::max<std::size_t>(kLayerCount, 1)> tables{};
      std::size_t n = 0;
      const auto add = [&]<typename T>(const T*) {
        if constexpr (!IsMethod<T>) tables[n++] = &kLayerTable<T>;
      };
      (add(static_cast<const Parts*>(nullptr)), ...);
      return tables;
    }();
    static constexpr auto kMethods = [] {
      std::array<const tenon_method*, std::max<std::size_t>(kMethodCount, 1)> tables{};
      std::size_t n = 0;
      const auto add = [&]<typename T>(const T*) {
        if constexpr (IsMethod<T>) tables[n++] = &kMethodTable<T>;
      };
      (add(static_cast<const Parts*>(nullptr)), ...);
      return tables;
    }();
    static constexpr std::uint32_t kStampKind =
        (kLayerCount > 0 ? TENON_STAMP_LAYERS : 0) | (kMethodCount > 0 ? TENON_STAMP_METHODS : 0);
  };

  inline tenon_status remember_host(const tenon_host* table, tenon_error*) {
    host = table;
    return TENON_OK;
  }

  template <std::size_t N>
  constexpr void copy_text(char (&to)[N], std::string_view from) {
    for (std::size_t i = 0; i < from.size() && i + 1 < N; ++i) to[i] = from[i];
  }

  template <typename... Parts>
  constexpr tenon_plugin make_plugin(const char* id, const char* version) {
    tenon_plugin plugin{};
    plugin.struct_size = sizeof(tenon_plugin);
    plugin.abi_major = TENON_ABI_MAJOR;
    plugin.abi_minor = TENON_ABI_MINOR;
    plugin.min_host_minor = 2;
    plugin.id = id;
    plugin.version = version;
    plugin.compiler = __VERSION__;
    plugin.sdk_version = TENON_SDK_VERSION;
    plugin.n_layer_types = Tables<Parts...>::kLayerCount;
    plugin.layer_types = Tables<Parts...>::kLayers.data();
    plugin.init = remember_host;
    plugin.methods = Tables<Parts...>::kMethods.data();
    plugin.n_methods = Tables<Parts...>::kMethodCount;
    return plugin;
  }

  constexpr std::string_view kArchitecture =
#if defined(__x86_64__)
      "x86_64";
#elif defined(__aarch64__)
      "aarch64";
#else
      "other";
#endif

  // What a plugin needs of LibTorch itself; nothing unless a header of tenon/torch says so.
  struct TorchNeeds {
    std::string_view version;
    std::string_view cxx_abi;
    std::string_view minimum;
  };

  template <typename... Parts>
  constexpr tenon_stamp make_stamp(std::string_view id, std::string_view version,
                                   TorchNeeds torch) {
    tenon_stamp stamp{};
    for (std::size_t i = 0; i < sizeof stamp.magic; ++i) stamp.magic[i] = TENON_STAMP_MAGIC[i];
    stamp.struct_size = sizeof(tenon_stamp);
    stamp.kind = Tables<Parts...>::kStampKind;
    stamp.abi_major = TENON_ABI_MAJOR;
    stamp.abi_minor = TENON_ABI_MINOR;
    stamp.min_host_minor = 2;
    stamp.pointer_bits = 8 * sizeof(void*);
    copy_text(stamp.id, id);
    copy_text(stamp.version, version);
    copy_text(stamp.sdk_version, TENON_SDK_VERSION);
    copy_text(stamp.torch_version, torch.version);
    copy_text(stamp.cxx_abi, torch.cxx_abi);
    copy_text(stamp.architecture, kArchitecture);
    copy_text(stamp.torch_minimum, torch.minimum);
    return stamp;
  }

  }  // namespace detail
}  // namespace tenon

// The headers of tenon/torch define it anew; what stands where TENON_PLUGIN does counts.
#ifndef TENON_TORCH_NEEDS
#define TENON_TORCH_NEEDS \
  {}
#endif

#define TENON_PLUGIN(plugin_id, plugin_version, ...)                                 \
  static_assert(sizeof(plugin_id) <= sizeof(tenon_stamp::id), "the id is too long"); \
  extern "C" {                                                                       \
  constexpr tenon_plugin tenon_plugin_v0 =                                           \
      tenon::detail::make_plugin<__VA_ARGS__>(plugin_id, plugin_version);            \
  constexpr tenon_stamp tenon_stamp_v0 = tenon::detail::make_stamp<__VA_ARGS__>(     \
      plugin_id, plugin_version, tenon::detail::TorchNeeds TENON_TORCH_NEEDS);       \
  }
