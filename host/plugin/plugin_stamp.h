#pragma once

#include <tenon/plugin.h>

#include <cstddef>
#include <optional>
#include <span>

#include "plugin/plugin_refusal.h"

namespace tenon {

// Finds the stamp in a shared library's bytes without running any of it: 64-bit ELF of this
// machine's architecture, the section TENON_STAMP_SECTION, its magic and size; every offset
// checked. Then the version rules of tenon/version.h. The stamp is written to `stamp` on success.
std::optional<PluginRefusal> read_stamp(std::span<const std::byte> library, tenon_stamp& stamp);

}  // namespace tenon
