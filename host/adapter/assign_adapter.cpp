#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "adapter/adapter_folder.h"
#include "adapter/adapter_store.h"
#include "adapter/broken_tensors.h"
#include "model/tensor_file.h"

namespace tenon {
namespace {

// Where a key is cut into its module and the name behind it.
class Names {
 public:
  explicit Names(const std::vector<AdapterTensor>& parameters) {
    for (const AdapterTensor& parameter : parameters) {
      if (parameter.module.empty() || parameter.key.size() <= parameter.module.size()) continue;
      modules_.insert(parameter.module);
      names_.insert(parameter.key.substr(parameter.module.size()));
    }
  }

  // "ia3_l of seq.0", "weight of seq.4".
  std::string readable(const std::string& key) const {
    if (key.starts_with('.')) return key.substr(1);  // of the adapter as a whole
    const std::size_t dot = dot_of(key);
    if (dot == std::string::npos) return key;
    return key.substr(dot + 1) + " of " + key.substr(0, dot);
  }

 private:
  // Behind a module that the adapter is on, before a name that its parameters have, or the last.
  std::size_t dot_of(const std::string& key) const {
    std::size_t longest = 0;
    for (const std::string& module : modules_) {
      if (key.starts_with(module + ".")) longest = std::max(longest, module.size());
    }
    if (longest > 0) return longest;
    for (const std::string& name : names_) {
      if (key.size() > name.size() && key.ends_with(name)) longest = std::max(longest, name.size());
    }
    return longest > 0 ? key.size() - longest : key.rfind('.');
  }

  std::set<std::string> modules_;
  std::set<std::string> names_;  // with the dot before them
};

// Floats of any width convert into each other; nothing else converts.
bool converts(const at::Tensor& from, const at::Tensor& to) {
  return from.scalar_type() == to.scalar_type() ||
         (from.is_floating_point() && to.is_floating_point());
}

std::string mismatch(const at::Tensor& from, const at::Tensor& to) {
  if (from.sizes() != to.sizes()) {
    return "file has " + c10::str(from.sizes()) + ", the model needs " + c10::str(to.sizes());
  }
  if (!converts(from, to)) {
    return "file has " + safetensors_dtype(from.scalar_type()) + ", the model needs " +
           safetensors_dtype(to.scalar_type());
  }
  return "";
}

// Under bias = "all" PEFT writes the biases of a module to save three times: its own, the base's,
// and the trained ones once more under the wrapper's name.
bool is_repeated_bias(const AdapterConfig& config, const std::string& key) {
  return config.bias == "all" && key.ends_with("bias") &&
         (key.find(".original_module.") != std::string::npos ||
          key.find(".modules_to_save.") != std::string::npos);
}

struct Fit {
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;  // from, to
  std::string problems;
};

Fit fit_tensors(const AdapterFiles& files, const std::vector<AdapterTensor>& parameters) {
  Fit fit;
  std::map<std::string, at::Tensor> unused;
  for (const AdapterTensor& entry : files.tensors) unused.emplace(entry.key, entry.tensor);
  const Names names(parameters);
  const auto report = [&](const std::string& key, const std::string& problem) {
    fit.problems += "\n  " + names.readable(key) + ": " + problem;
  };
  for (const AdapterTensor& parameter : parameters) {
    const auto found = unused.find(parameter.key);
    if (found == unused.end()) {
      report(parameter.key, "missing in the file");
      continue;
    }
    const std::string problem = mismatch(found->second, parameter.tensor);
    if (!problem.empty()) report(parameter.key, problem);
    fit.copies.emplace_back(found->second, parameter.tensor);
    unused.erase(found);
  }
  for (const auto& [key, tensor] : unused) {
    if (is_repeated_bias(files.config, key)) continue;
    report(key, "in the file, but the adapted model has no such parameter");
  }
  return fit;
}

}  // namespace

void assign_adapter(const AdapterFiles& files, const std::vector<AdapterTensor>& parameters,
                    const std::filesystem::path& folder) {
  const Fit fit = fit_tensors(files, parameters);
  if (!fit.problems.empty()) {
    throw Error({.stage = Stage::kAdapter,
                 .message = "the adapter does not fit the model:" + fit.problems,
                 .hint = "is this the base model that it was trained on, and are `r`, "
                         "`rank_pattern`, `target_modules` and `modules_to_save` the adapter's?",
                 .location = (folder / kTensorFile).string()});
  }
  warn_of_broken_tensors(files, folder);
  const at::NoGradGuard no_grad;
  for (const auto& [from, to] : fit.copies) to.copy_(from);
}

}  // namespace tenon
