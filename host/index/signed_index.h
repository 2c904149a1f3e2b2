#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "index/plugin_index.h"

namespace tenon {

// An index whose signature holds; whether its key is one to trust is another question (TrustStore).
struct SignedIndex {
  std::string key;  // "ed25519:" and the base64 of 32 bytes
  PluginIndex index;
  std::string text;  // the whole file
};

constexpr std::size_t kMostIndexBytes = std::size_t{64} << 20U;

// {"format": 1, "key": "ed25519:...", "signature": base64, "index": {...}}. What is signed is
// "tenon-plugin-index\n" and then `index` as JSON without spaces, its tables sorted by key, in
// UTF-8 with nothing escaped that need not be (RFC 8785 where there are no fractions). Throws
// Error{kPlugins} for one that is not sound, and for a signature that is not of the key that it
// names. `where` is its address.
SignedIndex read_signed_index(std::string_view text, const std::string& where);

// Without a look at the signature: for messages, of a copy that was checked before.
SignedIndex read_known_index(std::string_view text, const std::string& where);

std::string signed_text(const PluginIndex& index, std::string_view secret);

// "ed25519:..." of 32 bytes, and back; Error{stage} for a text that is no key.
std::string key_text(std::string_view public_key);
std::string key_bytes(const std::string& text, Stage stage);

}  // namespace tenon
