// TENON_PLUGIN(id, version, Layers, Methods, Losses and Metrics...): the two exported symbols, as
// constant data. Who made it, if that is to be told, is one part more:
//   struct About { static constexpr tenon::about kAbout{.vendor = "Acme", .license = "MIT"}; };
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "tenon/cpp/layer.hpp"
#include "tenon/cpp/loss.hpp"
#include "tenon/cpp/method.hpp"
#include "tenon/cpp/metric.hpp"
#include "tenon/cpp/names.hpp"
#include "tenon/plugin.h"

namespace tenon __attribute__((visibility("hidden"))) {
  struct about {
    const char* vendor = nullptr;
    const char* license = nullptr;  // SPDX
  };

  namespace detail {

  template <typename T>
  concept IsAbout = requires {
    T::kAbout;
  };
  template <typename T>
  concept IsLayer = !IsMethod<T> && !IsLoss<T> && !IsMetric<T> && !IsAbout<T>;

  template <typename T>
  inline constexpr tenon_layer_type kLayerTable = make_table<T>();
  template <typename T>
  inline constexpr tenon_method kMethodTable = make_method<T>();
  template <typename T>
  inline constexpr tenon_loss kLossTable = make_loss<T>();
  template <typename T>
  inline constexpr tenon_metric kMetricTable = make_metric<T>();

  // A flag that came after 1.0, and when.
  struct LaterFlag {
    tenon_layer_flags flag;
    std::uint32_t minor;
  };
  inline constexpr std::array<LaterFlag, 0> kLaterLayerFlags{};

  constexpr std::uint32_t minor_of_flags(tenon_layer_flags flags) {
    std::uint32_t minor = 0;
    for (const LaterFlag& later : kLaterLayerFlags) {
      if ((flags & later.flag) != 0) minor = std::max(minor, later.minor);
    }
    return minor;
  }

  // Of the parts of a plugin, the tables of each kind.
  template <typename... Parts>
  struct Tables {
    static constexpr std::size_t kMethodCount = (0 + ... + (IsMethod<Parts> ? 1 : 0));
    static constexpr std::size_t kLayerCount = (0 + ... + (IsLayer<Parts> ? 1 : 0));
    static constexpr std::size_t kLossCount = (0 + ... + (IsLoss<Parts> ? 1 : 0));
    static constexpr std::size_t kMetricCount = (0 + ... + (IsMetric<Parts> ? 1 : 0));

    static constexpr auto kLayers = [] {
      std::array<const tenon_layer_type*, std::max<std::size_t>(kLayerCount, 1)> tables{};
      std::size_t n = 0;
      const auto add = [&]<typename T>(const T*) {
        if constexpr (IsLayer<T>) tables[n++] = &kLayerTable<T>;
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
    static constexpr auto kLosses = [] {
      std::array<const tenon_loss*, std::max<std::size_t>(kLossCount, 1)> tables{};
      std::size_t n = 0;
      const auto add = [&]<typename T>(const T*) {
        if constexpr (IsLoss<T>) tables[n++] = &kLossTable<T>;
      };
      (add(static_cast<const Parts*>(nullptr)), ...);
      return tables;
    }();
    static constexpr auto kMetrics = [] {
      std::array<const tenon_metric*, std::max<std::size_t>(kMetricCount, 1)> tables{};
      std::size_t n = 0;
      const auto add = [&]<typename T>(const T*) {
        if constexpr (IsMetric<T>) tables[n++] = &kMetricTable<T>;
      };
      (add(static_cast<const Parts*>(nullptr)), ...);
      return tables;
    }();
    static constexpr tenon_losses kLossExtension{sizeof(tenon_losses), kLossCount, kLosses.data()};
    static constexpr tenon_metrics kMetricExtension{sizeof(tenon_metrics), kMetricCount,
                                                    kMetrics.data()};
    static const void* TENON_ABI extension(const tenon_plugin*, const char* id) {
      const std::string_view wanted = id;
      if (kLossCount > 0 && wanted == TENON_LOSSES) return &kLossExtension;
      if (kMetricCount > 0 && wanted == TENON_METRICS) return &kMetricExtension;
      return nullptr;
    }
    static constexpr about kAbout = [] {
      about found;
      const auto look = [&]<typename T>(const T*) {
        if constexpr (IsAbout<T>) found = T::kAbout;
      };
      (look(static_cast<const Parts*>(nullptr)), ...);
      return found;
    }();
    // The minor version of the newest thing that a part uses: what the oldest host must have.
    static constexpr std::uint32_t kNeededMinor = [] {
      std::uint32_t needed = 0;
      const auto look = [&]<typename T>(const T*) {
        if constexpr (IsLayer<T>) needed = std::max(needed, minor_of_flags(T::kType.flags));
      };
      (look(static_cast<const Parts*>(nullptr)), ...);
      return needed;
    }();
    static constexpr tenon_stamp_kind kStampKind =
        (kLayerCount > 0 ? TENON_STAMP_LAYERS : 0) | (kMethodCount > 0 ? TENON_STAMP_METHODS : 0) |
        (kLossCount > 0 ? TENON_STAMP_LOSSES : 0) | (kMetricCount > 0 ? TENON_STAMP_METRICS : 0);
  };

  inline tenon_status TENON_ABI remember_host(const tenon_plugin*, const tenon_host* table,
                                              tenon_error*) {
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
    plugin.min_host_minor = Tables<Parts...>::kNeededMinor;
    plugin.id = id;
    plugin.version = version;
    plugin.vendor = Tables<Parts...>::kAbout.vendor;
    plugin.license = Tables<Parts...>::kAbout.license;
    plugin.compiler = __VERSION__;
    plugin.sdk_version = TENON_SDK_VERSION;
    plugin.n_layer_types = Tables<Parts...>::kLayerCount;
    plugin.layer_types = Tables<Parts...>::kLayers.data();
    plugin.init = remember_host;
    plugin.methods = Tables<Parts...>::kMethods.data();
    plugin.n_methods = Tables<Parts...>::kMethodCount;
    if constexpr (Tables<Parts...>::kLossCount + Tables<Parts...>::kMetricCount > 0) {
      plugin.extension = Tables<Parts...>::extension;
    }
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
    stamp.min_host_minor = Tables<Parts...>::kNeededMinor;
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

#define TENON_PLUGIN(plugin_id, plugin_version, ...)                                              \
  static_assert(tenon::names::is_id(plugin_id),                                                   \
                "the id is lower case letters and digits, joined by . - or _, one dot at "        \
                "least, 63 bytes at most: acme.lstm");                                            \
  static_assert(tenon::names::is_version(plugin_version), "the version is three numbers: 1.0.0"); \
  extern "C" {                                                                                    \
  constexpr tenon_plugin tenon_plugin_v1 =                                                        \
      tenon::detail::make_plugin<__VA_ARGS__>(plugin_id, plugin_version);                         \
  constexpr tenon_stamp tenon_stamp_v1 = tenon::detail::make_stamp<__VA_ARGS__>(                  \
      plugin_id, plugin_version, tenon::detail::TorchNeeds TENON_TORCH_NEEDS);                    \
  }
