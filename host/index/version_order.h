#pragma once

#include <string_view>

namespace tenon {

// Below, at or above 0, as one stands before, with or behind the other.
//
// Versions as semver.org orders them: "1.2.0-rc.1" before "1.2.0" before "1.10.0"; what stands
// behind a + does not count. Both are sound (names::is_version).
int compare_semantic_versions(std::string_view one, std::string_view other);

// "1.10" after "1.9".
int compare_abi(std::string_view one, std::string_view other);

}  // namespace tenon
