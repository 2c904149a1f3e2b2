#pragma once

#include <string>
#include <string_view>

// Signatures by Ed25519 (RFC 8032), made and checked by OpenSSL's libcrypto. That is loaded when
// the first of these functions is called: a machine without it lacks signed indexes of plugins, and
// nothing else. Everything throws Error{Stage::kPlugins}; where libcrypto is missing, with the
// package that has it.
namespace tenon {

// Whether the 64 bytes are a signature of the message by the key, of 32 bytes.
bool is_signed_by(std::string_view public_key, std::string_view message,
                  std::string_view signature);

// Of the private key that 32 secret bytes are.
std::string public_key_of(std::string_view secret);
std::string sign(std::string_view secret, std::string_view message);
// 32 bytes that nobody can guess.
std::string new_secret();

}  // namespace tenon
