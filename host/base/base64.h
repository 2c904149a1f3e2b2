#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tenon {

// Base64 (RFC 4648, section 4), padded.
std::string to_base64(std::string_view bytes);
// nullopt for what is not exactly what to_base64 writes.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace tenon
