#include "adapted/noisy_module.h"

#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/StringUtil.h>

#include <string>
#include <utility>

#include "base/error.h"

namespace tenon {
namespace {

constexpr const char* kKey = "neftune_noise_alpha";

[[noreturn]] void fail_noise(const std::string& path, const std::string& what) {
  throw Error({.stage = Stage::kInjection,
               .message = "[train] neftune_noise_alpha adds noise to what the input embedding `" +
                          path + "` gives, and " + what,
               .hint = "leave neftune_noise_alpha out"});
}

// In float32, as transformers' division of a number by a tensor goes.
double magnitude(double alpha, const at::Tensor& output) {
  const at::Tensor size = at::scalar_tensor(output.size(1) * output.size(2), at::kLong);
  return size.sqrt().reciprocal().mul(alpha).item<double>();
}

at::Tensor with_noise(const at::Tensor& output, double alpha, const std::string& path) {
  if (output.dim() != 3) {
    fail_noise(path, "that is no [rows, tokens, width] but " + c10::str(output.sizes()));
  }
  if (!output.is_floating_point()) fail_noise(path, "that holds no floats");
  const double most = magnitude(alpha, output);
  return output + at::zeros_like(output).uniform_(-most, most);
}

}  // namespace

std::vector<LayerReplacement> add_noise(const ModelData& model,
                                        std::vector<LayerReplacement> replacements,
                                        const NoisyModule& noisy) {
  const std::string path = model.tree.at(noisy.module).path;
  const std::vector<Subgraph> calls = SubgraphFinder(model).find(noisy.module);
  if (calls.empty()) fail_noise(path, "that runs no operator by itself");
  for (const Subgraph& call : calls) {
    if (call.outputs.size() != 1) fail_noise(path, "that is more than one tensor");
    FoldedModule folded = fold_module(model, call, replacements, kKey);
    folded.place.replacement.function = [program = std::move(folded.program), alpha = noisy.alpha,
                                         path](std::vector<c10::IValue> values,
                                               const RunMode& mode) {
      std::vector<c10::IValue> outputs = program->run(std::move(values), mode);
      if (mode.training) outputs[0] = with_noise(outputs[0].toTensor(), alpha, path);
      return outputs;
    };
    replacements.push_back(std::move(folded.place));
  }
  return replacements;
}

}  // namespace tenon
