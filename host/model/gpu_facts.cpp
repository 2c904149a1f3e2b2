#include "model/gpu_facts.h"

#include <ATen/Context.h>
#include <dlfcn.h>

#include <array>
#include <filesystem>

namespace tenon {
namespace {

constexpr const char* kLibrary = "libtorch_cuda.so";

// Where libtorch_cpu.so was loaded from.
std::filesystem::path libtorch_folder() {
  Dl_info info{};
  const auto* const address = reinterpret_cast<const void*>(&at::globalContext);
  if (::dladdr(address, &info) == 0 || info.dli_fname == nullptr) return {};
  return std::filesystem::path(info.dli_fname).parent_path();
}

std::string loader_failure() {
  const char* const why = ::dlerror();
  return why == nullptr ? "no reason was given" : why;
}

// NVIDIA's driver by its own interface, which is the same for all versions of CUDA.
class Driver {
 public:
  explicit Driver(GpuFacts& facts) : library_(::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) {
    if (library_ == nullptr) {
      facts.driver_failure = loader_failure();
      return;
    }
    if (const auto version = function<int(int*)>("cuDriverGetVersion")) version(&facts.driver);
    const auto init = function<int(unsigned)>("cuInit");
    const int status = init == nullptr ? 1 : init(0);
    if (status != 0) {
      facts.driver_failure = "it refused to start, error " + std::to_string(status);
      return;
    }
    read_gpus(facts);
  }

 private:
  template <typename Signature>
  Signature* function(const char* name) const {
    return reinterpret_cast<Signature*>(::dlsym(library_, name));
  }

  void read_gpus(GpuFacts& facts) const {
    const auto count_of = function<int(int*)>("cuDeviceGetCount");
    const auto get = function<int(int*, int)>("cuDeviceGet");
    const auto name_of = function<int(char*, int, int)>("cuDeviceGetName");
    const auto memory_of = function<int(std::size_t*, int)>("cuDeviceTotalMem_v2");
    const auto attribute_of = function<int(int*, int, int)>("cuDeviceGetAttribute");
    if (!count_of || !get || !name_of || !memory_of || !attribute_of) return;
    constexpr int kMajor = 75;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
    constexpr int kMinor = 76;
    int count = 0;
    count_of(&count);
    for (int i = 0; i < count; ++i) {
      Gpu gpu;
      int device = 0;
      std::array<char, 256> name{};
      std::size_t bytes = 0;
      get(&device, i);
      name_of(name.data(), static_cast<int>(name.size()) - 1, device);
      memory_of(&bytes, device);
      attribute_of(&gpu.major, kMajor, device);
      attribute_of(&gpu.minor, kMinor, device);
      gpu.name = name.data();
      gpu.bytes = static_cast<std::int64_t>(bytes);
      facts.gpus.push_back(std::move(gpu));
    }
  }

  void* library_;
};

}  // namespace

GpuFacts load_gpu_facts() {
  GpuFacts facts;
  const std::filesystem::path beside = libtorch_folder() / kLibrary;
  std::error_code ignored;
  facts.has_library = std::filesystem::exists(beside, ignored);
  if (facts.has_library && ::dlopen(beside.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    facts.load_failure = loader_failure();
  }
  const Driver driver(facts);
  if (!facts.has_library || !facts.load_failure.empty()) return facts;
  const at::CUDAHooksInterface& hooks = at::detail::getCUDAHooks();
  try {
    facts.built_for = static_cast<int>(hooks.versionCUDART());
    facts.cudnn = hooks.versionCuDNN();
  } catch (const c10::Error&) {  // a build without cuDNN has no version of it
  }
  facts.is_usable = facts.driver_failure.empty() && at::globalContext().hasCUDA();
  return facts;
}

GpuProblem find_problem(const GpuFacts& facts) {
  const std::string built = cuda_version_text(facts.built_for);
  if (!facts.has_library) {
    return {"this LibTorch has no CUDA",
            "install a torch that was built for CUDA (pip install torch) and build Tenon with it"};
  }
  if (!facts.load_failure.empty()) {
    return {"LibTorch's code for GPUs cannot be loaded: " + facts.load_failure,
            "install NVIDIA's libraries that this torch asks for: pip installs them with it"};
  }
  if (facts.driver == 0) {
    return {"there is no NVIDIA driver: libcuda.so.1: " + facts.driver_failure,
            "install the driver of the machine's GPU"};
  }
  if (facts.built_for / 1000 > facts.driver / 1000) {
    return {"LibTorch was built for CUDA " + built + ", the driver is older: it runs CUDA " +
                cuda_version_text(facts.driver),
            "install a newer driver, or a torch that was built for CUDA " +
                std::to_string(facts.driver / 1000)};
  }
  if (!facts.driver_failure.empty()) {
    return {"NVIDIA's driver cannot be used: " + facts.driver_failure, "see what nvidia-smi says"};
  }
  if (facts.gpus.empty()) {
    return {"the driver sees no GPU", "see what nvidia-smi and CUDA_VISIBLE_DEVICES say"};
  }
  if (!facts.is_usable) {
    return {"LibTorch cannot use the GPU " + facts.gpus.front().name,
            "see whether a torch for CUDA " + built + " supports it"};
  }
  return {};
}

std::string cuda_version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string cudnn_version_text(std::int64_t version) {
  const std::int64_t major = version < 90000 ? version / 1000 : version / 10000;
  const std::int64_t rest = version < 90000 ? version % 1000 : version % 10000;
  return std::to_string(major) + "." + std::to_string(rest / 100) + "." +
         std::to_string(rest % 100);
}

}  // namespace tenon
