#include "model/model_loader.h"

#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>

#include <ATen/ATen.h>

#include "declared/declared_model.h"
#include "pt2/pt2_program.h"

namespace tenon {
namespace {

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
  ModelData model = config.path
                        ? read_pt2_program(*config.path, config.verify, program_dtype(config.dtype))
                        : build_declared_model(config);
  if (config.weights) load_weights(model, *config.weights);
  return model;
}

}  // namespace tenon
