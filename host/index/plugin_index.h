#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// A static list of plugins: one JSON file, its plugins' files beside it.
namespace tenon {

// One version of a plugin, built for one platform.
struct IndexedFile {
  std::string version;
  std::string file;  // its name in the index's folder
  std::string sha256;
  std::uint64_t size = 0;
  std::string platform;               // "linux-x86_64"
  std::string abi_minimum;            // plugin ABI "1.0", of a host from this one
  std::string abi_below;              // up to this one, which is "2.0"
  std::string libtorch = {};          // the exact version that it needs; "" for any
  std::string libtorch_minimum = {};  // the oldest, of one that uses its stable C interface

  bool operator==(const IndexedFile&) const = default;
};

// What it adapts: a method on layers of these types.
struct IndexedLayers {
  std::string method;
  std::vector<std::string> types;

  bool operator==(const IndexedLayers&) const = default;
};

struct IndexedPlugin {
  std::string id;
  std::string summary = {};
  std::string license = {};
  std::string homepage = {};
  std::vector<std::string> methods = {};  // that it offers
  std::vector<IndexedLayers> serves = {};
  std::vector<IndexedFile> files = {};

  bool operator==(const IndexedPlugin&) const = default;
};

struct PluginIndex {
  std::string name;
  std::int64_t serial = 0;  // a later index has a larger one
  std::vector<IndexedPlugin> plugins;

  const IndexedPlugin* find(std::string_view id) const;  // nullptr if it has none

  bool operator==(const PluginIndex&) const = default;
};

}  // namespace tenon
