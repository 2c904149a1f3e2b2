#pragma once

namespace tenon {

// Teaches LibTorch's operators what to do with packed tensors; once in a process, from then on at
// no cost. Throws what LibTorch throws if someone else has taken the key.
void register_packed_operators();

}  // namespace tenon
