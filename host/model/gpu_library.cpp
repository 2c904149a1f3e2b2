#include "model/gpu_library.h"

#include <ATen/Context.h>
#include <dlfcn.h>

namespace tenon {

std::string load_gpu_library() {
  // Never closed: LibTorch keeps pointers into it for the rest of the process.
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char* why = dlerror();
    return std::string("LibTorch's code for GPUs cannot be loaded: ") +
           (why == nullptr ? "no reason was given" : why);
  }
  if (!at::globalContext().hasCUDA()) return "LibTorch found no GPU that it can use";
  return "";
}

}  // namespace tenon
