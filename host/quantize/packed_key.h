#pragma once

#include <c10/core/DispatchKey.h>

namespace tenon {

// What LibTorch's dispatcher knows packed tensors by: a key of its own beside the CPU's, that comes
// below autograd and above the CPU's kernels. LibTorch keeps this one for random generators of
// other people's, none of which uses it in a program that Tenon is in.
constexpr c10::DispatchKey kPackedKey = c10::DispatchKey::CustomRNGKeyId;

}  // namespace tenon
