#pragma once

#include <filesystem>
#include <optional>

#include "plugin/plugin_refusal.h"

namespace tenon {

// Whether someone other than its trusted owners could have changed what a path names: the file or
// folder, where its links lead, or a folder above that they could put another in place of. Owners
// are root, the user, and the owner of this program.
// `group_writable` is set where only the group may write to it, which is worth a warning.
std::optional<PluginRefusal> check_trust(const std::filesystem::path& path, bool& group_writable);

// The same of what came with this program: who can change the folders above can change it as well.
std::optional<PluginRefusal> check_own_trust(const std::filesystem::path& path,
                                             bool& group_writable);

}  // namespace tenon
