#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace tenon {

// The 32 secret bytes of an Ed25519 key in PEM, as `openssl genpkey -algorithm ed25519` writes it;
// nullopt where there is no file. Throws Error{kPlugins} for anything else, and for a file that
// others can read.
std::optional<std::string> read_signing_key(const std::filesystem::path& file);

// Makes a key and its file, which only the user can read. Throws Error{kOutput}.
std::string make_signing_key(const std::filesystem::path& file);

// A public key: "ed25519:...", or a file with that or with a public key in PEM. Throws
// Error{kCommandLine}.
std::string read_public_key(const std::string& given);

}  // namespace tenon
