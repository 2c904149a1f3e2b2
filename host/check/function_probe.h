#pragma once

#include <tenon/ext/autograd.h>

namespace tenon {

// What the plugin under check gets for TENON_AUTOGRAD: its own functions run with a look at what
// they are lent and what they give.
const tenon_autograd& probed_autograd();

}  // namespace tenon
