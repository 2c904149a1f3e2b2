#pragma once

#include <tenon/ext/autograd.h>

namespace tenon {

// The extension TENON_AUTOGRAD: plugins' functions with gradients of their own, recorded as one
// node of LibTorch's graph each.
const tenon_autograd& plugin_autograd();

}  // namespace tenon
