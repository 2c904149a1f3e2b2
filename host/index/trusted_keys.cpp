#include "index/trusted_keys.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/output_folder.h"
#include "index/own_files.h"
#include "plugin/plugin_trust.h"

namespace tenon {
namespace fs = std::filesystem;
namespace {

constexpr int kKeysFormat = 1;
constexpr const char* kKeysFile = "keys.json";
constexpr std::size_t kHashDigits = 16;

// Of the copy of an index.
std::string copy_name(const std::string& url) {
  return "index-" + sha256_hex(url).substr(0, kHashDigits) + ".json";
}

TrustedKeys read_keys(const Json& json) {
  TrustedKeys trusted;
  for (const Json& key : json.at("keys")) {
    trusted.keys.push_back({key.at("key").get<std::string>(), key.at("since").get<std::string>()});
  }
  for (const Json& index : json.at("indexes")) {
    trusted.indexes.push_back({index.at("url").get<std::string>(),
                               index.at("key").get<std::string>(),
                               index.at("serial").get<std::int64_t>()});
  }
  return trusted;
}

void require_own(const fs::path& path) {
  bool group_writable = false;
  if (const auto refusal = check_trust(path, group_writable)) {
    throw Error({.stage = Stage::kPlugins,
                 .message = "the trusted keys are not taken: " + refusal->reason});
  }
}

}  // namespace

bool TrustedKeys::has(const std::string& key) const {
  return std::ranges::find(keys, key, &TrustedKey::key) != keys.end();
}

const KnownIndex* TrustedKeys::known(const std::string& url) const {
  const auto found = std::ranges::find(indexes, url, &KnownIndex::url);
  return found == indexes.end() ? nullptr : &*found;
}

fs::path trust_folder(const fs::path& data_folder) { return data_folder / "trust"; }

TrustedKeys read_trusted_keys(const fs::path& data_folder) {
  const fs::path folder = trust_folder(data_folder);
  finish_replacement(folder);
  const fs::path path = current_file(folder, kKeysFile);
  std::error_code failed;
  if (!fs::exists(path, failed)) return {};
  require_own(path);
  const Failure context{.stage = Stage::kPlugins,
                        .message = "the list of trusted keys",
                        .hint = "remove it and trust the keys again: tenon plugin trust KEY",
                        .location = path.string()};
  const Json json = parse_json(read_text_file(path, Stage::kPlugins, kMostConfigBytes), context);
  Failure wrong = context;
  try {
    if (json.at("format") == Json(kKeysFormat)) return read_keys(json);
    wrong.message += " is not of format 1, which this Tenon reads";
  } catch (const Json::exception&) {
    wrong.message += " is damaged";
  }
  throw Error(wrong);
}

void write_trusted_keys(const fs::path& data_folder, const TrustedKeys& trusted,
                        const std::optional<IndexCopy>& copy) {
  OrderedJson keys = OrderedJson::array();
  for (const TrustedKey& key : trusted.keys)
    keys.push_back({{"key", key.key}, {"since", key.since}});
  OrderedJson indexes = OrderedJson::array();
  for (const KnownIndex& index : trusted.indexes) {
    indexes.push_back({{"url", index.url}, {"key", index.key}, {"serial", index.serial}});
  }
  const OrderedJson json{{"format", kKeysFormat}, {"keys", keys}, {"indexes", indexes}};
  std::vector<FolderFile> files{own_file(kKeysFile, json.dump(2) + "\n")};
  if (copy) files.push_back(own_file(copy_name(copy->url), copy->text));
  OutputFolder folder(trust_folder(data_folder), "the trusted keys");
  keep_others_out(folder.path());
  folder.write(files);
}

std::optional<std::string> known_copy(const fs::path& data_folder, const std::string& url) {
  const fs::path path = trust_folder(data_folder) / copy_name(url);
  std::error_code failed;
  if (!fs::exists(path, failed)) return std::nullopt;
  return read_text_file(path, Stage::kPlugins, kMostIndexBytes);
}

void require_trusted(const TrustedKeys& trusted, const SignedIndex& index, const std::string& url) {
  Failure failure{.stage = Stage::kPlugins, .location = url};
  const KnownIndex* known = trusted.known(url);
  if (known != nullptr && known->key != index.key) {
    failure.message = "the index of plugins is signed by " + index.key + ", and it was by " +
                      known->key + " until now";
    failure.hint = "if its owner says that the key is a new one, type: tenon plugin trust " +
                   index.key + " --index " + url;
    throw Error(failure);
  }
  if (!trusted.has(index.key)) {
    failure.message = "the index of plugins is signed by " + index.key + ", which you do not trust";
    failure.hint =
        "if that is the key that its owner publishes, type: tenon plugin trust " + index.key;
    throw Error(failure);
  }
  if (known != nullptr && index.index.serial < known->serial) {
    failure.message = "the index of plugins is older than the one that was here before (" +
                      std::to_string(index.index.serial) + ", then " +
                      std::to_string(known->serial) + ")";
    failure.hint =
        "its server shows an old copy; if its owner says that it is right, type: tenon "
        "plugin trust " +
        index.key + " --index " + url;
    throw Error(failure);
  }
}

std::string index_address(const std::string& given) {
  const std::size_t scheme = given.find("://");
  const std::string kind = given.substr(0, std::min(scheme, given.size()));
  if (kind != "file" && kind != "http" && kind != "https") {
    throw Error({.stage = Stage::kCommandLine,
                 .message = "`" + given + "` is no address of an index",
                 .hint = "it starts with https://, http:// or file:///"});
  }
  const std::string place = given.substr(scheme + 3);
  if (kind != "file" && place.substr(0, place.find('/')).find('@') != std::string::npos) {
    throw Error({.stage = Stage::kCommandLine,
                 .message = "the address of the index has a user's name in it",
                 .hint = "it would be written into the record of each plugin; an index is readable "
                         "without one"});
  }
  if (given.ends_with(".json")) return given;
  return given + (given.ends_with('/') ? "index.json" : "/index.json");
}

}  // namespace tenon
