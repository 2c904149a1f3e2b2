#include "install/index_source.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/suggest.h"
#include "index/store_lock.h"
#include "index/trusted_keys.h"
#include "index/version_order.h"
#include "install/fetch.h"
#include "install/installed_plugins.h"

namespace tenon {
namespace {

std::string in_index(const std::string& url, const std::string& file) {
  return url.substr(0, url.rfind('/') + 1) + file;
}

[[noreturn]] void fail_choice(const std::string& url, const std::string& message,
                              const std::string& hint) {
  throw Error({.stage = Stage::kPlugins, .message = message, .hint = hint, .location = url});
}

// Of versions that do not run here, why the newest does not.
[[noreturn]] void fail_to_fit(const std::string& url, const IndexedPlugin& plugin,
                              const std::string& version) {
  const HostFacts host = this_host();
  const IndexedFile* newest = nullptr;
  std::vector<std::string> versions;
  for (const IndexedFile& file : plugin.files) {
    versions.push_back(file.version);
    if (!version.empty() && file.version != version) continue;
    if (newest == nullptr || compare_semantic_versions(newest->version, file.version) < 0) {
      newest = &file;
    }
  }
  if (newest == nullptr) {
    fail_choice(url, "the index has no version " + version + " of " + plugin.id,
                versions.empty() ? "it has none at all" : "it has " + join(versions));
  }
  fail_choice(
      url, plugin.id + " " + newest->version + " does not run here: " + find_misfit(*newest, host),
      "ask its author for a build for " + host.platform + ", plugin ABI " + host.abi +
          (newest->libtorch.empty() ? "" : ", LibTorch " + host.libtorch));
}

}  // namespace

SignedIndex use_index(const std::string& url) {
  const std::filesystem::path data = require_data_folder();
  SignedIndex index = read_signed_index(fetch(url, kMostIndexBytes), url);
  require_trusted(read_trusted_keys(data), index, url);
  const StoreLock lock(data);
  TrustedKeys trusted = read_trusted_keys(data);
  require_trusted(trusted, index, url);  // another process may have seen a newer one meanwhile
  const KnownIndex now{url, index.key, index.index.serial};
  const auto known = std::ranges::find(trusted.indexes, url, &KnownIndex::url);
  if (known == trusted.indexes.end()) {
    trusted.indexes.push_back(now);
  } else {
    *known = now;
  }
  write_trusted_keys(data, trusted, IndexCopy{url, index.text});
  return index;
}

IndexChoice choose(const PluginIndex& index, const std::string& url, const std::string& wanted) {
  const std::size_t at = wanted.find('@');
  const std::string id = wanted.substr(0, at);
  const std::string version = at == std::string::npos ? "" : wanted.substr(at + 1);
  const IndexedPlugin* plugin = index.find(id);
  if (plugin == nullptr) {
    std::vector<std::string> ids;
    for (const IndexedPlugin& each : index.plugins) ids.push_back(each.id);
    const std::string near = did_you_mean(id, ids);
    fail_choice(url, "the index has no plugin `" + id + "`",
                !near.empty() ? near
                : ids.empty() ? "it is empty"
                              : "it has " + join(ids));
  }
  const IndexedFile* file = newest_fitting(*plugin, this_host(), version);
  if (file == nullptr) fail_to_fit(url, *plugin, version);
  return {plugin, file};
}

WantedPlugin fetch_plugin(const SignedIndex& index, const std::string& url,
                          const IndexChoice& choice) {
  const IndexedFile& file = *choice.file;
  const std::string place = in_index(url, file.file);
  std::string bytes = fetch(place, std::max<std::uint64_t>(file.size, 1));
  const std::string hash = sha256_hex(bytes);
  if (hash != file.sha256) {
    fail_choice(place,
                "it is not what the index has signed: its SHA-256 is " + hash + ", signed is " +
                    file.sha256,
                "it is damaged or was changed; nothing of it is used; ask the index's owner");
  }
  WantedPlugin wanted{check_candidate(std::move(bytes), place), {}};
  const Candidate& candidate = wanted.candidate;
  if (candidate.id != choice.plugin->id || candidate.version != file.version) {
    fail_choice(place,
                "it is " + candidate.id + " " + candidate.version + ", and the index calls it " +
                    choice.plugin->id + " " + file.version,
                "ask the index's owner to make it anew by `tenon plugin index`");
  }
  wanted.record = {.id = candidate.id,
                   .version = candidate.version,
                   .sha256 = candidate.sha256,
                   .from = url,
                   .key = index.key,
                   .license = choice.plugin->license,
                   .summary = choice.plugin->summary,
                   .homepage = choice.plugin->homepage};
  return wanted;
}

}  // namespace tenon
