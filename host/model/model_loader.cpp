#include "model/model_loader.h"

#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>

#include <ATen/ATen.h>
#include <ATen/Context.h>

#include <map>
#include <set>

#include "base/error.h"
#include "base/suggest.h"
#include "declared/declared_model.h"
#include "model/device_constants.h"
#include "model/gpu_library.h"
#include "model/tensor_file.h"
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

// The vector maths library behind tanh, erf and their like picks its kernels at its first call. Two
// threads that make that call together can take different kernels, and the result of one run in
// some hundreds differed from the others; a first call on one thread settles it for the process.
void settle_vector_math() { at::tanh(at::zeros({1})); }

}  // namespace

void load_weights(ModelData& model, const std::filesystem::path& file) {
  const NamedTensors given = read_tensor_file(file, Stage::kModel);
  std::map<std::string, ModelTensor*> wanted;
  std::vector<std::string> names;
  for (ModelTensor& tensor : model.tensors) {
    if (!tensor.persistent || tensor.kind == ValueKind::kConstant) continue;
    wanted[tensor.name] = &tensor;
    for (const std::string& alias : tensor.aliases) wanted[alias] = &tensor;
    names.push_back(tensor.name);
  }
  std::vector<std::string> problems;
  std::set<const ModelTensor*> met;  // in the file, whether it fits or not
  std::map<ModelTensor*, const at::Tensor*> copies;
  for (const auto& [name, tensor] : given) {
    const auto found = wanted.find(name);
    if (found != wanted.end()) met.insert(found->second);
    if (found == wanted.end()) {
      const std::string near = did_you_mean(name, names);
      problems.push_back("`" + name + "` is not a tensor of the model" +
                         (near.empty() ? "" : "; " + near));
    } else if (found->second->tensor.sizes() != tensor.sizes()) {
      problems.push_back("`" + name + "` is " + c10::str(tensor.sizes()) + ", the model has " +
                         c10::str(found->second->tensor.sizes()));
    } else if (found->second->tensor.is_floating_point() != tensor.is_floating_point()) {
      problems.push_back("`" + name + "` is of another kind of number than the model's");
    } else if (copies.contains(found->second) && !at::equal(*copies[found->second], tensor)) {
      problems.push_back("`" + name +
                         "` shares its tensor with other names in the model, but the "
                         "file gives them different values");
    } else {
      copies[found->second] = &tensor;
    }
  }
  for (const std::string& name : names) {
    if (!met.contains(wanted.at(name))) problems.push_back("`" + name + "` is missing");
  }
  if (!problems.empty()) {
    throw Error({.stage = Stage::kModel,
                 .message = "the weights do not fit the model:\n  - " + join(problems, "\n  - "),
                 .hint = "[model] weights needs the whole state dict of this model",
                 .location = file.string()});
  }
  const at::NoGradGuard no_grad;
  for (const auto& [target, source] : copies) {
    target->tensor.copy_(*source);
    target->crc32 = -1;
  }
}

ModelData load_model(const ModelConfig& config) {
  settle_vector_math();
  check_device(config);
  ModelData model =
      config.path ? read_pt2_program(*config.path, config.verify) : build_declared_model(config);
  follow_device(model.graph, c10::Device(config.device));
  if (config.weights) load_weights(model, *config.weights);
  return model;
}

}  // namespace tenon
