#pragma once

#include <string>

namespace tenon {

// A LibTorch for CUDA keeps its GPU code in libtorch_cuda.so, which needs NVIDIA's libraries.
// Nothing links it, so that one program serves machines with and without a GPU; this loads it,
// once. Returns why a GPU cannot be used, "" if it can.
std::string load_gpu_library();

}  // namespace tenon
