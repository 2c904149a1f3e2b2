#include "install/make_index.h"

#include <tenon/version.h>

#include <algorithm>
#include <ctime>
#include <set>

#include "base/ed25519.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/suggest.h"
#include "index/host_fit.h"
#include "index/index_json.h"
#include "index/signed_index.h"
#include "install/candidate.h"
#include "install/signing_key.h"

namespace tenon {
namespace fs = std::filesystem;
namespace {

// What about.json says: {"name", "license", "homepage", "plugins": {"acme.fancy": {"summary",
// "license", "homepage"}}}; all of it may be left out.
class About {
 public:
  explicit About(const fs::path& folder) : path_(folder / "about.json") {
    if (!fs::exists(path_)) return;
    json_ =
        parse_json(read_text_file(path_, Stage::kPlugins, kMostConfigBytes),
                   {.stage = Stage::kPlugins, .message = "the file", .location = path_.string()});
    check(json_, {"name", "license", "homepage", "plugins"}, "");
    if (!json_.contains("plugins")) return;
    if (!json_["plugins"].is_object()) fail("`plugins` is no table");
    for (const auto& [id, about] : json_["plugins"].items()) {
      check(about, {"summary", "license", "homepage"}, " of " + id);
    }
  }

  std::string name() const { return text(json_, "name"); }
  // Of a plugin, or of all.
  std::string of(const std::string& id, const char* key) const {
    if (json_.contains("plugins") && json_["plugins"].contains(id)) {
      const std::string own = text(json_["plugins"][id], key);
      if (!own.empty()) return own;
    }
    return text(json_, key);
  }
  // The ids that it tells of and nobody has.
  std::vector<std::string> strangers(const PluginIndex& index) const {
    std::vector<std::string> ids;
    if (!json_.contains("plugins")) return ids;
    for (const auto& [id, about] : json_["plugins"].items()) {
      if (index.find(id) == nullptr) ids.push_back(id);
    }
    return ids;
  }
  const fs::path& path() const { return path_; }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw Error({.stage = Stage::kPlugins, .message = message, .location = path_.string()});
  }
  void check(const Json& table, const std::vector<std::string>& keys,
             const std::string& whose) const {
    if (!table.is_object()) fail("what it says" + whose + " is no table");
    for (const auto& [key, value] : table.items()) {
      if (std::ranges::find(keys, key) == keys.end()) {
        fail(join(std::vector<std::string>{"there is no key `", key, "`", whose, "; the keys are ",
                                           join(keys)},
                  ""));
      }
      if (key != "plugins" && !value.is_string()) {
        fail(join(std::vector<std::string>{"`", key, "`", whose, " is no text"}, ""));
      }
    }
  }
  static std::string text(const Json& table, const char* key) {
    const auto value = table.find(key);
    return value == table.end() || !value->is_string() ? "" : value->get<std::string>();
  }

  fs::path path_;
  Json json_ = Json::object();
};

// The index that is there, if its signature holds.
std::optional<SignedIndex> former_index(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  try {
    return read_signed_index(read_text_file(path, Stage::kPlugins, kMostIndexBytes), path.string());
  } catch (const Error& error) {
    Failure failure = error.failure();
    failure.hint = "to make one anew, take it away first";
    throw Error(failure);
  }
}

IndexedFile entry_of(const Candidate& candidate, const std::string& file) {
  return {candidate.version,
          file,
          candidate.sha256,
          candidate.bytes.size(),
          this_host().platform,
          candidate.abi_minimum,
          std::to_string(TENON_ABI_MAJOR + 1) + ".0",
          candidate.libtorch,
          candidate.libtorch_minimum};
}

// The entry of the index for a plugin of that id, made where it has none.
IndexedPlugin& entry_for(PluginIndex& index, const std::string& id) {
  const auto found = std::ranges::find(index.plugins, id, &IndexedPlugin::id);
  if (found != index.plugins.end()) return *found;
  return index.plugins.emplace_back(IndexedPlugin{.id = id});
}

void merge_texts(std::vector<std::string>& all, const std::vector<std::string>& more) {
  const std::set<std::string> before(all.begin(), all.end());
  for (const std::string& each : more) {
    if (!before.contains(each)) all.push_back(each);
  }
}

void add_offer(IndexedPlugin& plugin, const PluginOffer& offer) {
  if (!offer.license.empty()) plugin.license = offer.license;
  std::vector<std::string> methods;
  for (const OfferedMethod& method : offer.methods) methods.push_back(method.name);
  merge_texts(plugin.methods, methods);
  for (const OfferedLayerType& type : offer.layer_types) {
    auto layers = std::ranges::find(plugin.serves, type.method, &IndexedLayers::method);
    if (layers == plugin.serves.end()) {
      layers = plugin.serves.insert(plugin.serves.end(), {type.method, {}});
    }
    merge_texts(layers->types, type.base_types);
  }
}

// Takes over what the former index has of a file that this host cannot read. False if it has none,
// or another file of that name.
bool keep_entry(const std::optional<SignedIndex>& former, const std::string& name,
                const std::string& sha256, PluginIndex& index) {
  if (!former) return false;
  for (const IndexedPlugin& plugin : former->index.plugins) {
    for (const IndexedFile& file : plugin.files) {
      if (file.file != name || file.sha256 != sha256) continue;
      IndexedPlugin& entry = entry_for(index, plugin.id);
      entry.files.push_back(file);
      entry.license = entry.license.empty() ? plugin.license : entry.license;
      merge_texts(entry.methods, plugin.methods);
      if (entry.serves.empty()) entry.serves = plugin.serves;
      return true;
    }
  }
  return false;
}

}  // namespace

IndexOutcome make_index(const fs::path& folder, const fs::path& key, bool force) {
  IndexOutcome outcome{.path = folder / "index.json"};
  const std::vector<fs::path> files = plugin_files_in(folder);
  if (fs::weakly_canonical(key).parent_path() == fs::weakly_canonical(folder)) {
    throw Error({.stage = Stage::kCommandLine,
                 .message = "the key that signs lies in the folder of the index",
                 .hint = "that folder is for everybody; keep the key elsewhere",
                 .location = key.string()});
  }
  const About about(folder);
  const auto former = former_index(outcome.path);
  auto secret = read_signing_key(key);
  const std::string public_key = secret ? key_text(public_key_of(*secret)) : "";
  if (former && former->key != public_key && !force) {
    throw Error({.stage = Stage::kPlugins,
                 .message = "the index was signed by " + former->key + ", and this is another key",
                 .hint = "whoever trusts that one would refuse the new index; --force changes the "
                         "key all the same",
                 .location = outcome.path.string()});
  }
  std::vector<std::string> problems;
  std::set<std::string> builds;
  for (const fs::path& file : files) {
    const std::string name = file.filename().string();
    std::string bytes = read_text_file(file, Stage::kPlugins, kMostPluginBytes);
    const std::string sha256 = sha256_hex(bytes);
    try {
      const Candidate candidate = check_candidate(std::move(bytes), name);
      if (!builds.insert(candidate.id + "@" + candidate.version + "@" + candidate.libtorch)
               .second) {
        problems.push_back(name + ": " + candidate.id + " " + candidate.version +
                           " is in another file too");
      }
      IndexedPlugin& entry = entry_for(outcome.index, candidate.id);
      entry.files.push_back(entry_of(candidate, name));
      add_offer(entry, candidate.offer);
    } catch (const Error& error) {
      if (keep_entry(former, name, sha256, outcome.index)) {
        outcome.kept.push_back(name);
      } else {
        problems.push_back(name + ": " + error.failure().message);
      }
    }
  }
  for (IndexedPlugin& plugin : outcome.index.plugins) {
    plugin.summary = about.of(plugin.id, "summary");
    plugin.homepage = about.of(plugin.id, "homepage");
    if (plugin.license.empty()) plugin.license = about.of(plugin.id, "license");
  }
  for (const std::string& id : about.strangers(outcome.index)) {
    problems.push_back(about.path().string() + " tells of " + id + ", which is not here");
  }
  if (!problems.empty()) {
    throw Error({.stage = Stage::kPlugins,
                 .message = "no index is made:\n" + join(problems, "\n"),
                 .hint = "a plugin for another machine is indexed there first, with the same key",
                 .location = folder.string()});
  }
  std::ranges::sort(outcome.index.plugins, {}, &IndexedPlugin::id);
  outcome.index.name = about.name();
  outcome.index.serial =
      std::max<std::int64_t>(std::time(nullptr), former ? former->index.serial + 1 : 0);
  // Names that an index cannot have are found before others do.
  read_index(index_json(outcome.index), {.stage = Stage::kPlugins,
                                         .message = "the index",
                                         .hint = "rename the file: letters, digits, . _ + and -",
                                         .location = folder.string()});
  outcome.new_key = !secret;
  if (!secret) secret = make_signing_key(key);
  outcome.key = key_text(public_key_of(*secret));
  write_file(outcome.path, signed_text(outcome.index, *secret));
  return outcome;
}

}  // namespace tenon
