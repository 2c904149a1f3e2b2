#pragma once

#include "quantize/unpack_kernels.h"

namespace tenon {

// Of AVX-512 or AVX2, whichever this processor has; nullptr if it has neither, or is no x86.
const UnpackKernels* x86_kernels();

}  // namespace tenon
