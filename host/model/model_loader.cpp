#include "model/model_loader.h"

#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>

#include <ATen/ATen.h>
#include <ATen/Context.h>

#include "base/error.h"
#include "declared/declared_model.h"
#include "model/device_constants.h"
#include "model/gpu_library.h"
#include "pt2/pt2_program.h"

namespace tenon {
namespace {

void check_device(const ModelConfig& config) {
  if (config.device == "cpu") return;
  const bool is_cuda = config.device == "cuda" || config.device.starts_with("cuda:");
  const std::string why = is_cuda ? load_gpu_library() : "there is no such device";
  if (why.empty()) return;
  throw Error({.stage = Stage::kModel,
               .message = "[model] device = \"" + config.device + "\": " + why,
               .hint = is_cuda
                           ? "set device = \"cpu\", or build Tenon with a LibTorch for CUDA on a "
                             "machine that has a GPU"
                           : "set device = \"cpu\"",
               .location = config.location});
}

// "none": the program's own.
std::optional<at::ScalarType> program_dtype(const std::string& name) {
  if (name == "float32") return at::kFloat;
  if (name == "float64") return at::kDouble;
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float16") return at::kHalf;
  return std::nullopt;
}

// The vector maths library behind tanh, erf and their like picks its kernels at its first call. Two
// threads that make that call together can take different kernels, and the result of one run in
// some hundreds differed from the others; a first call on one thread settles it for the process.
void settle_vector_math() { at::tanh(at::zeros({1})); }

}  // namespace

ModelData load_model(const ModelConfig& config) {
  settle_vector_math();
  check_device(config);
  ModelData model = config.path
                        ? read_pt2_program(*config.path, config.verify, program_dtype(config.dtype))
                        : build_declared_model(config);
  follow_device(model.graph, c10::Device(config.device));
  if (config.weights) load_weights(model, *config.weights);
  return model;
}

}  // namespace tenon
