#include "plan/quantized_base.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/suggest.h"
#include "graph/tensor_checksum.h"
#include "graph/tensor_names.h"
#include "model/linear_module.h"
#include "model/output_layer.h"
#include "pt2/pt2_weights.h"
#include "quantize/packed_tensor.h"
#include "targets/module_names.h"
#include "targets/rule_matcher.h"

namespace tenon {
namespace {

bool is_matrix(const ModelTensor& tensor) {
  return tensor.kind == ValueKind::kParameter && tensor.tensor.dim() == 2 &&
         tensor.tensor.is_floating_point() && tensor.tensor.numel() > 0 && tensor.tensor.is_cpu();
}

// The modules with a matrix `weight`, in model order.
std::vector<std::string> modules_with_matrix(const ModelData& model) {
  std::set<std::string> owners;
  for (const ModelTensor& tensor : model.tensors) {
    if (!is_matrix(tensor)) continue;
    for (const std::string& name : all_names(tensor)) {
      if (name.ends_with(".weight")) owners.emplace(parent_path(name));
    }
  }
  std::vector<std::string> modules;
  for (const Module& module : model.tree.modules) {
    if (owners.contains(module.path)) modules.push_back(module.path);
  }
  return modules;
}

// Which modules' weights are quantised, and what is wrong with the rules.
class Selection {
 public:
  Selection(const ModelData& model, const ModelConfig& config,
            const std::vector<AdapterConfig>& adapters)
      : model_(model),
        config_(config),
        modules_(modules_with_matrix(model)),
        is_named_(!std::holds_alternative<std::monostate>(config.quantize_modules)) {
    for (const AdapterConfig& adapter : adapters) add_saved(adapter);
    is_named_ ? take_named() : take_linear();
    exclude();
    if (problems_.empty() && taken_.empty()) problems_.push_back("no linear layer is left");
    throw_if_any();
  }

  bool is_named() const { return is_named_; }
  bool has(const std::string& module) const { return taken_.contains(module); }

 private:
  void add_saved(const AdapterConfig& adapter) {
    if (adapter.modules_to_save.empty()) return;
    RuleMatcher saved("modules_to_save", adapter.modules_to_save);
    for (const Module& module : model_.tree.modules) {
      if (saved.matches(module.path)) saved_.push_back(module.path);
    }
  }

  bool is_saved(const std::string& path) const {
    return std::ranges::any_of(saved_, [&](const auto& module) { return lies_in(path, module); });
  }

  void take_named() {
    RuleMatcher named("quantize_modules", config_.quantize_modules);
    for (const std::string& path : modules_) {
      if (!named.matches(path)) continue;
      taken_.insert(path);
      if (is_saved(path)) {
        problems_.push_back("`" + path + "` in quantize_modules is trained by modules_to_save");
      }
    }
    for (std::string& text : named.unmatched(modules_)) problems_.push_back(std::move(text));
  }

  void take_linear() {
    const SubgraphFinder finder(model_);
    const ModuleId output = output_layer(model_);
    for (const std::string& path : modules_) {
      const ModuleId id = model_.tree.find(path);
      if (id == output || is_saved(path) || !is_linear_module(model_, finder, id)) continue;
      taken_.insert(path);
    }
  }

  void exclude() {
    if (std::holds_alternative<std::monostate>(config_.quantize_exclude)) return;
    RuleMatcher excluded("quantize_exclude", config_.quantize_exclude);
    for (const std::string& path : modules_) {
      if (excluded.matches(path)) taken_.erase(path);
    }
    for (std::string& text : excluded.unmatched(modules_)) problems_.push_back(std::move(text));
  }

  void throw_if_any() const {
    if (problems_.empty()) return;
    throw Error({.stage = Stage::kInjection,
                 .message = "[model] quantize = \"" + config_.quantize + "\": " +
                            (problems_.size() == 1 ? problems_.front()
                                                   : "\n  - " + join(problems_, "\n  - ")),
                 .hint = "`tenon tree` lists the model's modules; quantised are weights of two "
                         "dimensions",
                 .location = config_.location});
  }

  const ModelData& model_;
  const ModelConfig& config_;
  std::vector<std::string> modules_;
  bool is_named_;
  std::vector<std::string> saved_;
  std::set<std::string> taken_;
  std::vector<std::string> problems_;
};

// Named ones are quantised with all that they are tied to; else a tie to what stays keeps it.
bool is_meant(const ModelTensor& tensor, const Selection& selection) {
  if (!is_matrix(tensor) || is_packed(tensor.tensor)) return false;
  const std::vector<std::string> names = all_names(tensor);
  const auto is_taken = [&](const std::string& name) {
    return name.ends_with(".weight") && selection.has(std::string(parent_path(name)));
  };
  return selection.is_named() ? std::ranges::any_of(names, is_taken)
                              : std::ranges::all_of(names, is_taken);
}

// The least and the greatest number tell, which take no second tensor.
bool is_finite(const at::Tensor& matrix) {
  const auto [least, greatest] = at::aminmax(matrix);
  return std::isfinite(least.item<double>()) && std::isfinite(greatest.item<double>());
}

void require_finite(const ModelTensor& tensor) {
  if (is_finite(tensor.tensor.detach())) return;
  throw Error({.stage = Stage::kModel,
               .message = "NaNs or infinities in `" + tensor.name + "`, which is to be quantised",
               .hint = "the base's file is damaged, or its training diverged; take another"});
}

void quantize(ModelTensor& tensor, PackedFormat format) {
  require_finite(tensor);
  // Known of what is as the program's file has it, and of nothing that was written to.
  const bool is_as_in_file = tensor.crc32 >= 0;
  if (!is_as_in_file) tensor.crc32 = tensor_crc32(tensor.tensor);
  const at::Tensor original = tensor.tensor;
  tensor.tensor = packed_tensor(pack(original.detach(), format), original.scalar_type());
  if (is_as_in_file) pt2::release_pages(original);
}

std::string megabytes(std::int64_t bytes) {
  return std::to_string((bytes + (1 << 20) - 1) / (1 << 20)) + " MB";
}

}  // namespace

std::vector<std::string> quantize_base(ModelData& model, const ModelConfig& config,
                                       const std::vector<AdapterConfig>& adapters) {
  const auto format = packed_format(config.quantize);
  if (!format) return {};
  if (config.device != "cpu") {
    throw Error({.stage = Stage::kModel,
                 .message = "[model] quantize = \"" + config.quantize +
                            "\" is for the CPU, and device is \"" + config.device + "\"",
                 .location = config.location});
  }
  const Selection selection(model, config, adapters);
  std::int64_t count = 0;
  std::int64_t before = 0;
  std::int64_t after = 0;
  for (ModelTensor& tensor : model.tensors) {
    if (!is_meant(tensor, selection)) continue;
    before += stored_bytes(tensor.tensor);
    quantize(tensor, *format);
    after += stored_bytes(tensor.tensor);
    ++count;
  }
  return {std::to_string(count) + " weights of the base are kept in " + config.quantize + ": " +
          megabytes(after) + " in place of " + megabytes(before)};
}

}  // namespace tenon
