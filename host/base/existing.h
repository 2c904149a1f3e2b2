#pragma once

namespace tenon {

// Whether a file that is in the place of a new one gives way.
enum class Existing { kReplaced, kRefused };

}  // namespace tenon
