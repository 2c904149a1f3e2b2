#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "index/signed_index.h"

// Whose indexes of plugins the user takes. Nothing but `tenon plugin trust` adds a key.
namespace tenon {

struct TrustedKey {
  std::string key;    // "ed25519:..."
  std::string since;  // "2026-01-31T12:00:00Z"
};

// An index that was used, so that it cannot come back older or under another key.
struct KnownIndex {
  std::string url;
  std::string key;
  std::int64_t serial = 0;
};

struct TrustedKeys {
  std::vector<TrustedKey> keys;
  std::vector<KnownIndex> indexes;

  bool has(const std::string& key) const;
  const KnownIndex* known(const std::string& url) const;  // nullptr if it was not used before
};

// Where they are kept: `keys.json`, and beside it a copy of each index that was used.
std::filesystem::path trust_folder(const std::filesystem::path& data_folder);

// None where nothing is kept yet. Throws Error{kPlugins} for what cannot be read, and for a folder
// that others could have changed.
TrustedKeys read_trusted_keys(const std::filesystem::path& data_folder);

// Under the StoreLock: writes them all, and the copy of an index of that address, whole or not at
// all. Throws Error{kOutput}.
struct IndexCopy {
  std::string url;
  std::string text;
};
void write_trusted_keys(const std::filesystem::path& data_folder, const TrustedKeys& trusted,
                        const std::optional<IndexCopy>& copy = std::nullopt);

// The last copy of an index that was used; nullopt where there is none.
std::optional<std::string> known_copy(const std::filesystem::path& data_folder,
                                      const std::string& url);

// Throws Error{kPlugins} for an index of a key that is not trusted, of another key than before, or
// older than the one that was seen.
void require_trusted(const TrustedKeys& trusted, const SignedIndex& index, const std::string& url);

// The same address whether it names the folder or its index.json. Throws Error{kCommandLine} for
// what is no address of a file.
std::string index_address(const std::string& given);

}  // namespace tenon
