#include "app/gpu_report.h"

#include <cstdio>

namespace tenon {
namespace {

std::string gigabytes(std::int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

std::string capability(const Gpu& gpu) {
  return std::to_string(gpu.major) + "." + std::to_string(gpu.minor);
}

nlohmann::ordered_json version_or_null(bool is_known, const std::string& version) {
  return is_known ? nlohmann::ordered_json(version) : nlohmann::ordered_json(nullptr);
}

}  // namespace

nlohmann::ordered_json gpus_json(const GpuFacts& facts) {
  nlohmann::ordered_json devices = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < facts.gpus.size(); ++i) {
    devices.push_back({{"device", "cuda:" + std::to_string(i)},
                       {"name", facts.gpus[i].name},
                       {"memory", facts.gpus[i].bytes},
                       {"capability", capability(facts.gpus[i])}});
  }
  const GpuProblem problem = find_problem(facts);
  return {{"devices", devices},
          {"cuda", version_or_null(facts.built_for > 0, cuda_version_text(facts.built_for))},
          {"cudnn", version_or_null(facts.cudnn > 0, cudnn_version_text(facts.cudnn))},
          {"driver_cuda", version_or_null(facts.driver > 0, cuda_version_text(facts.driver))},
          {"problem", version_or_null(!problem.what.empty(), problem.what)},
          {"remedy", version_or_null(!problem.what.empty(), problem.remedy)}};
}

std::string gpus_text(const GpuFacts& facts) {
  std::string text;
  const GpuProblem problem = find_problem(facts);
  if (!problem.what.empty()) text = "cannot be used: " + problem.what + "\n  " + problem.remedy;
  for (std::size_t i = 0; i < facts.gpus.size(); ++i) {
    const Gpu& gpu = facts.gpus[i];
    text += (text.empty() ? "" : "\n  ") + ("cuda:" + std::to_string(i)) + " " + gpu.name + ", " +
            gigabytes(gpu.bytes) + ", compute capability " + capability(gpu);
  }
  if (facts.built_for > 0) {
    text += "\n  LibTorch for CUDA " + cuda_version_text(facts.built_for) +
            (facts.cudnn > 0 ? ", cuDNN " + cudnn_version_text(facts.cudnn) : "");
  }
  if (facts.driver > 0) text += "\n  driver for CUDA " + cuda_version_text(facts.driver);
  return text;
}

}  // namespace tenon
