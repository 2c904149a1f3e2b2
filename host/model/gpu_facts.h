#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tenon {

struct Gpu {
  std::string name;          // "NVIDIA H200"
  std::int64_t bytes = 0;    // of its memory
  int major = 0, minor = 0;  // compute capability
};

// What stands between this program and a GPU, told by LibTorch and by NVIDIA's driver. Versions as
// NVIDIA counts them: 1000 * major + 10 * minor; 0 where there is none.
struct GpuFacts {
  bool has_library = false;    // libtorch_cuda.so lies beside libtorch_cpu.so
  std::string load_failure;    // why it could not be loaded; "" where it was
  int built_for = 0;           // the CUDA that LibTorch was built for
  std::int64_t cudnn = 0;      // 1000 or 10000 * major + 100 * minor + patch
  std::string driver_failure;  // why the driver's library could not be used
  int driver = 0;              // the newest CUDA that the driver runs
  std::vector<Gpu> gpus;       // as the driver sees them, CUDA_VISIBLE_DEVICES heeded
  bool is_usable = false;      // LibTorch says so itself
};

struct GpuProblem {
  std::string what;    // "" where GPUs can be used
  std::string remedy;  // what to install, or to set
};

// Loads LibTorch's code for GPUs (libtorch_cuda.so, never closed, as LibTorch keeps pointers into
// it) and asks the driver. A program that never calls it needs neither.
GpuFacts load_gpu_facts();

// The first thing that is wrong.
GpuProblem find_problem(const GpuFacts& facts);

std::string cuda_version_text(int version);            // "13.0"
std::string cudnn_version_text(std::int64_t version);  // "9.10.2"

}  // namespace tenon
