#include "plugin/plugin_library.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <tenon/version.h>
#include <unistd.h>

#include <boost/dll/shared_library.hpp>
#include <cerrno>
#include <span>
#include <utility>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "plugin/elf_segments.h"
#include "plugin/handles.h"
#include "plugin/offered_objectives.h"
#include "plugin/running_plugin.h"
#include "plugin/sized_struct.h"
#include "plugin/table_faults.h"

namespace tenon {
namespace {

// Code that ran must stay mapped: threads, exit handlers and tensors' deleters may point into it.
void keep_until_exit(boost::dll::shared_library library) {
  new boost::dll::shared_library(std::move(library));  // never freed, never unloaded
}

std::filesystem::path path_of(const Descriptor& descriptor) {
  return "/proc/self/fd/" + std::to_string(descriptor.number());
}

// A file in memory that can no longer be changed; closed if the system has none.
Descriptor sealed_copy(std::span<const std::byte> bytes) {
  Descriptor copy(::memfd_create("tenon-plugin", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  while (copy.is_open() && !bytes.empty()) {
    const ssize_t count = ::write(copy.number(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Descriptor();
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  return copy.is_open() && ::fcntl(copy.number(), F_ADD_SEALS, kSeals) == 0 ? std::move(copy)
                                                                            : Descriptor();
}

// The dynamic linker takes a second library of one path for the first: the number must not come
// again.
void keep_number(Descriptor copy) { new Descriptor(std::move(copy)); }

// What the dynamic linker says of the last failure, which Boost leaves out.
std::string loader_message(const std::string& otherwise) {
  const char* text = ::dlerror();
  return text != nullptr ? text : otherwise;
}

PluginRefusal wrong_table(const std::string& what) {
  return {"bad-table", "its table is wrong: " + what};
}

// An exception that escapes breaks the contract, but must not end the program: at least those that
// use this program's C++ runtime can be caught here.
// `table` is the plugin's own, `plugin` what this host knows of it.
std::optional<PluginRefusal> initialise(const tenon_plugin& table, const tenon_plugin& plugin,
                                        const tenon_host& host) {
  if (plugin.init == nullptr) return std::nullopt;
  tenon_error error;
  const RunningPlugin running(plugin.id, "init");
  try {
    if (plugin.init(&table, &host, &error) == TENON_OK) return std::nullopt;
  } catch (const std::exception& exception) {
    return PluginRefusal{"init-throws",
                         std::string("its init let an exception out: ") + exception.what()};
  } catch (...) {
    return PluginRefusal{"init-throws", "its init let an exception out"};
  }
  return PluginRefusal{
      "init-fails",
      "its init failed: " +
          (error.text.empty() ? "plugin bug: init failed without a message" : error.text)};
}

// A library of models has a C++ table of its own; the host's other tables are nothing to it.
std::variant<LoadedLibrary, PluginRefusal> load_models(boost::dll::shared_library library,
                                                       const std::string& entry,
                                                       const tenon_stamp& stamp,
                                                       LoadedLibrary loaded) {
  if (library.has(entry)) loaded.models = &library.get<const char>(entry);
  keep_until_exit(std::move(library));
  if (loaded.models == nullptr) {
    return PluginRefusal{"no-entry", "it has a stamp but does not export " + entry};
  }
  loaded.id = stamp.id;
  loaded.version = stamp.version;
  return loaded;
}

}  // namespace

std::variant<LoadedLibrary, PluginRefusal> load_library(
    const std::filesystem::path& path, const std::map<std::string, std::string>& pinned_sha256,
    const tenon_host& host) {
  LoadedLibrary loaded;
  tenon_stamp stamp{};
  Descriptor copy;
  try {
    const MappedFile file(path, Stage::kPlugins);
    if (auto refusal = read_stamp(file.bytes(), stamp)) return *refusal;
    const auto pinned = pinned_sha256.find(stamp.id);
    if (pinned == pinned_sha256.end()) {
      if (auto refusal = ElfSegments(file.bytes()).read()) return *refusal;
      loaded.sha256 = sha256_hex(file.bytes());
    } else {
      // Nobody can change a copy in memory between the look at its hash and its opening.
      copy = sealed_copy(file.bytes());
      if (!copy.is_open()) return PluginRefusal{"unreadable", "it cannot be copied into memory"};
      const MappedFile checked(path_of(copy), Stage::kPlugins);
      if (auto refusal = read_stamp(checked.bytes(), stamp)) return *refusal;
      if (auto refusal = ElfSegments(checked.bytes()).read()) return *refusal;
      loaded.sha256 = sha256_hex(checked.bytes());
      if (pinned->second != loaded.sha256) {
        return PluginRefusal{"sha256", "its SHA-256 is " + loaded.sha256 +
                                           ", [plugins.sha256] wants " + pinned->second};
      }
    }
  } catch (const Error& error) {
    return PluginRefusal{"unreadable", error.failure().message};
  }

  boost::dll::fs::error_code failed;
  boost::dll::shared_library library;
  {
    const RunningPlugin running(stamp.id, "its opening");
    library.load(copy.is_open() ? path_of(copy) : path,
                 boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local, failed);
  }
  if (failed || !library.is_loaded()) {
    return PluginRefusal{"cannot-load", "it cannot be loaded: " + loader_message(failed.message())};
  }
  if (copy.is_open()) keep_number(std::move(copy));
  const bool has_models = stamp.kind == TENON_STAMP_MODELS;
  const std::string entry =
      (has_models ? "tenon_models_v" : "tenon_plugin_v") + std::to_string(TENON_ABI_MAJOR);
  if (has_models) return load_models(std::move(library), entry, stamp, std::move(loaded));
  const bool has_entry = library.has(entry);
  const tenon_plugin* table = has_entry ? &library.get<const tenon_plugin>(entry) : nullptr;
  keep_until_exit(std::move(library));
  if (!has_entry) {
    return PluginRefusal{"no-entry", "it has a stamp but does not export " + entry};
  }
  const std::string fault = find_table_fault(*table, stamp);
  if (!fault.empty()) return wrong_table(fault);
  loaded.plugin = read_sized(*table);
  const std::string objective_fault = find_objective_fault(loaded.plugin, stamp);
  if (!objective_fault.empty()) return wrong_table(objective_fault);
  if (auto refusal = initialise(*table, loaded.plugin, host)) return *refusal;
  loaded.id = loaded.plugin.id;
  loaded.version = loaded.plugin.version;
  return loaded;
}

}  // namespace tenon
