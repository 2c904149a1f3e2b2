#pragma once

#include <tenon/option.h>

#include <cstdint>
#include <optional>
#include <string>

namespace tenon {

// Why a plugin's declarations cannot be used, or nothing: a plugin bug. Nothing else may be read of
// them before.
std::optional<std::string> check_declarations(const tenon_option* const* options, std::uint32_t n);

}  // namespace tenon
