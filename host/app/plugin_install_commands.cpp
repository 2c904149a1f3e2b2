#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "base/error.h"
#include "index/trusted_keys.h"
#include "index/version_order.h"
#include "install/index_source.h"
#include "install/install_plugins.h"
#include "install/installed_plugins.h"

// The verbs that change which plugins the user has: install, remove, update.
namespace tenon {
namespace {

namespace fs = std::filesystem;
using Answer = nlohmann::ordered_json;

WantedPlugin wanted_of_file(const fs::path& file) {
  WantedPlugin wanted{read_candidate(file), {}};
  const Candidate& candidate = wanted.candidate;
  wanted.record = {.id = candidate.id,
                   .version = candidate.version,
                   .sha256 = candidate.sha256,
                   .from = candidate.place,
                   .license = candidate.offer.license};
  return wanted;
}

// All that is wrong with the files of a folder is told at once.
std::vector<WantedPlugin> wanted_of_folder(const fs::path& folder) {
  std::vector<WantedPlugin> wanted;
  std::string problems;
  for (const fs::path& file : plugin_files_in(folder)) {
    try {
      wanted.push_back(wanted_of_file(file));
    } catch (const Error& error) {
      problems += (problems.empty() ? "" : "\n") + std::string(error.what());
    }
  }
  if (problems.empty()) return wanted;
  throw Error({.stage = Stage::kPlugins, .message = problems, .hint = "nothing was changed"});
}

std::vector<WantedPlugin> wanted_of_index(const std::string& source,
                                          const std::vector<std::string>& names) {
  const bool is_folder = fs::is_directory(source);
  const std::string url =
      index_address(is_folder ? "file://" + fs::canonical(source).string() : source);
  if (names.empty()) {
    throw Error({.stage = Stage::kCommandLine,
                 .message = "which plugin of the index?",
                 .hint = "tenon plugin install " + source + " NAME"});
  }
  const SignedIndex index = use_index(url);
  std::vector<WantedPlugin> wanted;
  wanted.reserve(names.size());
  for (const std::string& name : names) {
    wanted.push_back(fetch_plugin(index, url, choose(index.index, url, name)));
  }
  return wanted;
}

std::vector<WantedPlugin> wanted_of(const PluginStoreArguments& asked) {
  if (asked.source.find("://") != std::string::npos || !asked.names.empty()) {
    return wanted_of_index(asked.source, asked.names);
  }
  if (fs::is_directory(asked.source)) return wanted_of_folder(asked.source);
  return {wanted_of_file(asked.source)};
}

Answer outcome_json(const InstallOutcome& outcome) {
  const InstallRecord& record = outcome.record;
  return {{"id", record.id},
          {"version", record.version},
          {"path", outcome.path.string()},
          {"sha256", record.sha256},
          {"from", record.from},
          {"key", record.key.empty() ? Answer() : Answer(record.key)},
          {"replaced", outcome.replaced.empty() ? Answer() : Answer(outcome.replaced)},
          {"unchanged", outcome.unchanged}};
}

void print_outcome(const InstallOutcome& outcome) {
  const std::string name = outcome.record.id + " " + outcome.record.version;
  if (outcome.unchanged) {
    std::cout << name << " is installed already\n";
    return;
  }
  std::cout << "installed " << name << " in " << outcome.path.string()
            << (outcome.replaced.empty() ? "" : ", in place of " + outcome.replaced) << "\n"
            << "  SHA-256 " << outcome.record.sha256 << "\n";
}

void answer(const CommandLine& line, const char* name,
            const std::vector<InstallOutcome>& outcomes) {
  if (line.json) {
    Answer list = Answer::array();
    for (const InstallOutcome& outcome : outcomes) list.push_back(outcome_json(outcome));
    std::cout << Answer{{name, list}}.dump(2) << "\n";
    return;
  }
  for (const InstallOutcome& outcome : outcomes) print_outcome(outcome);
}

// What `update` looks after: those that came from an index, or the ones that were named.
std::vector<InstalledPlugin> plugins_to_update(const std::vector<std::string>& ids) {
  std::vector<InstalledPlugin> all = installed_plugins(require_plugin_folder());
  const auto is_from_index = [](const InstalledPlugin& plugin) {
    return plugin.record && !plugin.record->key.empty();
  };
  for (const std::string& id : ids) {
    const auto found = std::ranges::find(all, id, &InstalledPlugin::id);
    if (found != all.end() && is_from_index(*found)) continue;
    throw Error({.stage = Stage::kPlugins,
                 .message = found == all.end() ? "there is no installed plugin `" + id + "`"
                                               : id + " did not come from an index",
                 .hint = found == all.end()
                             ? "`tenon plugin list` tells what there is"
                             : "tenon plugin install FILE takes a newer file of it"});
  }
  std::erase_if(all, [&](const InstalledPlugin& plugin) {
    return !is_from_index(plugin) ||
           (!ids.empty() && std::ranges::find(ids, plugin.id) == ids.end());
  });
  return all;
}

}  // namespace

void plugin_install_command(const CommandLine& line) {
  answer(line, "installed", install_plugins(wanted_of(line.plugin_store), line.force));
}

void plugin_remove_command(const CommandLine& line) {
  const auto removed = remove_plugins(line.plugin_store.names, line.force);
  Answer list = Answer::array();
  for (const fs::path& path : removed) {
    list.push_back(path.string());
    if (!line.json) std::cout << "removed " << path.string() << "\n";
  }
  if (line.json) std::cout << Answer{{"removed", list}}.dump(2) << "\n";
}

void plugin_update_command(const CommandLine& line) {
  std::vector<WantedPlugin> wanted;
  std::vector<InstalledPlugin> plugins = plugins_to_update(line.plugin_store.names);
  std::ranges::stable_sort(plugins, {}, [](const auto& plugin) { return plugin.record->from; });
  SignedIndex index;
  std::string url;
  for (const InstalledPlugin& plugin : plugins) {
    if (plugin.record->from != url) {  // each index once
      url = plugin.record->from;
      index = use_index(url);
    }
    const IndexChoice choice = choose(index.index, url, plugin.id);
    // An older one than is here is no update; what was damaged is put right.
    if (compare_semantic_versions(choice.file->version, plugin.version) < 0) continue;
    if (choice.file->sha256 == plugin.sha256 && plugin.fault.empty()) continue;
    wanted.push_back(fetch_plugin(index, url, choice));
  }
  const auto outcomes = install_plugins(std::move(wanted), line.force);
  answer(line, "updated", outcomes);
  if (outcomes.empty() && !line.json) std::cout << "nothing is newer\n";
}

}  // namespace tenon
