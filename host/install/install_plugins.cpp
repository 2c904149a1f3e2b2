#include "install/install_plugins.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/error.h"
#include "base/file.h"
#include "base/output_folder.h"
#include "base/suggest.h"
#include "base/temporary_files.h"
#include "index/own_files.h"
#include "index/store_lock.h"
#include "index/version_order.h"
#include "install/installed_plugins.h"
#include "plugin/plugin_trust.h"

namespace tenon {
namespace fs = std::filesystem;
namespace {

using Problems = std::vector<std::string>;

void throw_problems(const Problems& problems) {
  if (problems.empty()) return;
  throw Error(
      {.stage = Stage::kPlugins, .message = join(problems, "\n"), .hint = "nothing was changed"});
}

// What is there of the same id; nullptr if nothing is.
const InstalledPlugin* find_installed(const std::vector<InstalledPlugin>& all,
                                      const std::string& id) {
  const auto found = std::ranges::find(all, id, &InstalledPlugin::id);
  return found == all.end() ? nullptr : &*found;
}

// Why a plugin must not take the place of what is there; "" if it may.
std::string find_refusal(const WantedPlugin& wanted, const InstalledPlugin& there, bool force) {
  const Candidate& candidate = wanted.candidate;
  const std::string both = candidate.id + " " + candidate.version + " (" + candidate.place + ")";
  if (there.path.filename() != candidate.id + ".so") {
    return both + ": the same plugin lies in " + there.path.string() +
           ", which tenon did not put there; take it away first";
  }
  if (force) return "";
  if (!there.record) {
    return both + ": " + there.path.string() + " was put there by hand; --force replaces it";
  }
  const int order = compare_semantic_versions(candidate.version, there.version);
  if (order < 0) {
    return both + " is older than " + there.version +
           ", which is installed; --force installs it "
           "all the same";
  }
  if (order == 0 && there.fault.empty()) {
    return both + " is another file than the one of that version that is installed (SHA-256 " +
           candidate.sha256.substr(0, 12) + "..., there " + there.sha256.substr(0, 12) +
           "...); --force installs it all the same";
  }
  return "";
}

// What a folder that others may write to says against every plugin in it.
void require_own_folder(const fs::path& folder) {
  bool group_writable = false;
  if (const auto refusal = check_trust(folder, group_writable)) {
    throw Error({.stage = Stage::kPlugins,
                 .message = "no plugin of this folder is taken: " + refusal->reason,
                 .location = folder.string()});
  }
}

void unlink_in(const fs::path& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return;
  throw Error({.stage = Stage::kOutput,
               .message = std::string("it cannot be removed: ") + std::strerror(errno),
               .location = path.string()});
}

}  // namespace

std::string time_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  std::array<char, 32> text{};
  ::gmtime_r(&now, &utc);
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

std::vector<InstallOutcome> install_plugins(std::vector<WantedPlugin> wanted, bool force) {
  const StoreLock lock(require_data_folder());
  OutputFolder folder(require_plugin_folder(), "the plugin");
  if (fs::is_empty(folder.path())) keep_others_out(folder.path());
  require_own_folder(folder.path());
  const std::vector<InstalledPlugin> all = installed_plugins(folder.path());
  Problems problems;
  std::vector<InstallOutcome> outcomes;
  std::vector<FolderFile> files;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    WantedPlugin& each = wanted[i];
    each.record.installed = time_text();
    InstallOutcome outcome{each.record, folder.path() / (each.candidate.id + ".so")};
    for (std::size_t k = 0; k < i; ++k) {
      if (wanted[k].candidate.id != each.candidate.id) continue;
      problems.push_back(each.candidate.id + " is in " + wanted[k].candidate.place + " and in " +
                         each.candidate.place);
    }
    if (const InstalledPlugin* there = find_installed(all, each.candidate.id)) {
      outcome.unchanged = there->record && there->fault.empty() &&
                          there->sha256 == each.candidate.sha256 &&
                          there->path.filename() == outcome.path.filename();
      outcome.replaced = outcome.unchanged ? "" : there->version;
      const std::string refusal = outcome.unchanged ? "" : find_refusal(each, *there, force);
      if (!refusal.empty()) problems.push_back(refusal);
    }
    if (!outcome.unchanged) {
      files.push_back(own_file(each.candidate.id + ".so", std::move(each.candidate.bytes)));
      files.push_back(own_file(each.candidate.id + ".json", record_text(each.record)));
    }
    outcomes.push_back(std::move(outcome));
  }
  throw_problems(problems);
  if (!files.empty()) folder.write(files);
  return outcomes;
}

std::vector<fs::path> remove_plugins(const std::vector<std::string>& ids, bool force) {
  const StoreLock lock(require_data_folder());
  const fs::path folder = require_plugin_folder();
  const std::vector<InstalledPlugin> all = installed_plugins(folder);
  std::vector<std::string> known;
  known.reserve(all.size());
  for (const InstalledPlugin& each : all) known.push_back(each.id);
  Problems problems;
  std::vector<fs::path> removed;
  for (const std::string& id : ids) {
    const InstalledPlugin* plugin = find_installed(all, id);
    if (plugin == nullptr) {
      const std::string near = did_you_mean(id, known);
      problems.push_back("there is no plugin `" + id + "` in " + folder.string() + "; " +
                         (near.empty() ? "`tenon plugin list` tells what there is" : near));
    } else if (!plugin->record && !force) {
      problems.push_back(plugin->path.string() +
                         " was put there by hand; --force removes it all the same");
    } else {
      removed.push_back(plugin->path);
    }
  }
  throw_problems(problems);
  for (const fs::path& path : removed) {
    unlink_in(path);  // first, since a record without a plugin is nothing
    unlink_in(record_of(path));
  }
  if (!removed.empty()) sync_folder(folder);
  return removed;
}

}  // namespace tenon
