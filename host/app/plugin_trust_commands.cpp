#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "base/error.h"
#include "index/store_lock.h"
#include "index/trusted_keys.h"
#include "install/install_plugins.h"
#include "install/installed_plugins.h"
#include "install/make_index.h"
#include "install/signing_key.h"

// The verbs that tell where plugins came from and whose are taken: list, trust, index.
namespace tenon {
namespace {

using Reply = nlohmann::ordered_json;

Reply text_or_null(const std::string& text) { return text.empty() ? Reply() : Reply(text); }

Reply installed_json(const InstalledPlugin& plugin) {
  const InstallRecord record = plugin.record.value_or(InstallRecord{});
  return {{"id", text_or_null(plugin.id)},
          {"version", text_or_null(plugin.version)},
          {"path", plugin.path.string()},
          {"sha256", text_or_null(plugin.sha256)},
          {"from", text_or_null(record.from)},
          {"key", text_or_null(record.key)},
          {"installed", text_or_null(record.installed)},
          {"license", text_or_null(record.license)},
          {"summary", text_or_null(record.summary)},
          {"homepage", text_or_null(record.homepage)},
          {"problem", text_or_null(plugin.fault)}};
}

void print_installed(const InstalledPlugin& plugin) {
  std::cout << (plugin.id.empty() ? plugin.path.filename().string() : plugin.id);
  if (!plugin.version.empty()) std::cout << " " << plugin.version;
  if (plugin.record) {
    std::cout << "  " << plugin.record->summary << "\n  from " << plugin.record->from << ", "
              << plugin.record->installed << "\n";
    if (!plugin.record->key.empty()) std::cout << "  signed by " << plugin.record->key << "\n";
  } else {
    std::cout << "  put there by hand\n";
  }
  if (!plugin.fault.empty()) std::cout << "  problem: " << plugin.fault << "\n";
}

Reply trusted_json(const TrustedKeys& trusted) {
  Reply keys = Reply::array();
  for (const TrustedKey& key : trusted.keys) {
    keys.push_back({{"key", key.key}, {"since", key.since}});
  }
  return keys;
}

Reply indexes_json(const TrustedKeys& trusted) {
  Reply indexes = Reply::array();
  for (const KnownIndex& index : trusted.indexes) {
    indexes.push_back({{"url", index.url}, {"key", index.key}});
  }
  return indexes;
}

void remove_key(TrustedKeys& trusted, const std::string& key) {
  if (!trusted.has(key)) {
    throw Error({.stage = Stage::kPlugins,
                 .message = key + " is not trusted",
                 .hint = "`tenon plugin list` tells which keys are"});
  }
  std::erase_if(trusted.keys, [&](const TrustedKey& each) { return each.key == key; });
  std::erase_if(trusted.indexes, [&](const KnownIndex& each) { return each.key == key; });
}

void add_key(TrustedKeys& trusted, const std::string& key, const std::string& index) {
  if (!trusted.has(key)) trusted.keys.push_back({key, time_text()});
  if (index.empty()) return;
  const std::string url = index_address(index);
  std::erase_if(trusted.indexes, [&](const KnownIndex& each) { return each.url == url; });
  trusted.indexes.push_back({url, key, 0});
}

}  // namespace

void plugin_list_command(const CommandLine& line) {
  const auto plugins = installed_plugins(require_plugin_folder());
  const TrustedKeys trusted = read_trusted_keys(require_data_folder());
  if (line.json) {
    Reply list = Reply::array();
    for (const InstalledPlugin& plugin : plugins) list.push_back(installed_json(plugin));
    const Reply out{
        {"plugins", list}, {"keys", trusted_json(trusted)}, {"indexes", indexes_json(trusted)}};
    std::cout << out.dump(2) << "\n";
    return;
  }
  if (plugins.empty()) {
    std::cout << "no plugin is installed in " << require_plugin_folder().string() << "\n";
  }
  for (const InstalledPlugin& plugin : plugins) print_installed(plugin);
  for (const TrustedKey& key : trusted.keys) {
    std::cout << "trusted key " << key.key << ", since " << key.since << "\n";
  }
  for (const KnownIndex& index : trusted.indexes) {
    std::cout << "known index " << index.url << ", of " << index.key << "\n";
  }
}

void plugin_trust_command(const CommandLine& line) {
  const PluginStoreArguments& asked = line.plugin_store;
  const std::filesystem::path data = require_data_folder();
  const std::string key = read_public_key(asked.source);
  const StoreLock lock(data);
  TrustedKeys trusted = read_trusted_keys(data);
  const bool was_there = trusted.has(key);
  if (asked.remove) {
    remove_key(trusted, key);
  } else {
    add_key(trusted, key, asked.index);
  }
  write_trusted_keys(data, trusted);
  if (line.json) {
    const Reply out{{"key", key},
                    {"trusted", !asked.remove},
                    {"keys", trusted_json(trusted)},
                    {"indexes", indexes_json(trusted)}};
    std::cout << out.dump(2) << "\n";
  } else if (asked.remove) {
    std::cout << "no longer trusted: " << key << "; what was installed stays\n";
  } else {
    std::cout << (was_there ? "trusted already: " : "trusted: ") << key << "\n";
  }
}

void plugin_index_command(const CommandLine& line) {
  const PluginStoreArguments& asked = line.plugin_store;
  const std::filesystem::path key =
      asked.key.empty() ? require_data_folder() / "index-key.pem" : asked.key;
  if (asked.key.empty()) {
    std::error_code failed;
    std::filesystem::create_directories(key.parent_path(), failed);
    if (failed) {
      throw Error({.stage = Stage::kOutput,
                   .message = "the folder of the key cannot be made: " + failed.message(),
                   .hint = "name the key's file with --key",
                   .location = key.parent_path().string()});
    }
  }
  const IndexOutcome outcome = make_index(line.target, key, line.force);
  if (line.json) {
    Reply plugins = Reply::array();
    for (const IndexedPlugin& plugin : outcome.index.plugins) {
      Reply files = Reply::array();
      for (const IndexedFile& file : plugin.files) {
        files.push_back(
            {{"version", file.version}, {"file", file.file}, {"platform", file.platform}});
      }
      plugins.push_back({{"id", plugin.id}, {"files", files}});
    }
    const Reply out{{"path", outcome.path.string()},
                    {"key", outcome.key},
                    {"key_file", key.string()},
                    {"plugins", plugins},
                    {"kept", outcome.kept}};
    std::cout << out.dump(2) << "\n";
    return;
  }
  if (outcome.new_key) {
    std::cout << "made the key " << key.string() << ", which signs later indexes too: keep it\n";
  }
  for (const IndexedPlugin& plugin : outcome.index.plugins) {
    for (const IndexedFile& file : plugin.files) {
      std::cout << plugin.id << " " << file.version << "  " << file.platform << "  " << file.file
                << "\n";
    }
  }
  std::cout << "wrote " << outcome.path.string() << "\nwho uses it types once: tenon plugin trust "
            << outcome.key << "\n";
}

}  // namespace tenon
