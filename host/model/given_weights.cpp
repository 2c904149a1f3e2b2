// [model] weights: a state dict, plain or with packed weights in it, over the model's own.
#include <ATen/ATen.h>

#include <map>
#include <set>
#include <sstream>
#include <stdexcept>

#include "base/error.h"
#include "base/safetensors.h"
#include "base/suggest.h"
#include "model/model_loader.h"
#include "model/packed_file.h"
#include "quantize/packed_tensor.h"

namespace tenon {
namespace {

// One file of weights against the tensors that the model has.
class GivenWeights {
 public:
  GivenWeights(ModelData& model, const std::filesystem::path& path)
      : path_(path), file_(path, Stage::kModel) {
    for (auto& [name, tensor] : tensors_of(file_)) given_.emplace(name, std::move(tensor));
    for (ModelTensor& tensor : model.tensors) {
      if (!tensor.persistent || tensor.kind == ValueKind::kConstant) continue;
      wanted_[tensor.name] = &tensor;
      for (const std::string& alias : tensor.aliases) wanted_[alias] = &tensor;
      names_.push_back(tensor.name);
    }
    match_packed();
    match_plain();
    for (const std::string& name : names_) {
      if (!met_.contains(wanted_.at(name))) problems_.push_back("`" + name + "` is missing");
    }
    throw_if_any();
  }

  void load() const {
    const at::NoGradGuard no_grad;
    for (const auto& [target, weight] : packed_) {
      target->tensor = packed_tensor(weight, target->tensor.scalar_type());
      target->crc32 = recorded_crc32(*target);
    }
    for (const auto& [target, source] : copies_) {
      // What needs no cast stays in the file's mapping, in the layout that the graph knows.
      if (source->scalar_type() == target->tensor.scalar_type() && target->tensor.is_contiguous() &&
          target->tensor.is_cpu()) {
        target->tensor = *source;
        target->crc32 = recorded_crc32(*target);
        continue;
      }
      target->tensor.copy_(*source);
      target->crc32 = -1;
    }
  }

 private:
  void match_packed() {
    for (const auto& [name, target] : wanted_) {
      if (target->tensor.dim() != 2 || !target->tensor.is_floating_point()) continue;
      std::vector<std::string> used;
      try {
        const auto weight =
            read_packed(given_, name, target->tensor.size(0), target->tensor.size(1), used);
        if (weight == nullptr) continue;
        packed_.emplace(target, weight);
      } catch (const std::invalid_argument& misfit) {
        problems_.emplace_back(misfit.what());
        used.push_back(name);
      }
      met_.insert(target);
      for (const std::string& entry : used) given_.erase(entry);
    }
  }

  void match_plain() {
    for (const auto& [name, tensor] : given_) {
      const auto found = wanted_.find(name);
      if (found == wanted_.end()) {
        const std::string near = did_you_mean(name, names_);
        problems_.push_back("`" + name + "` is not a tensor of the model" +
                            (near.empty() ? "" : "; " + near));
        continue;
      }
      ModelTensor* const target = found->second;
      met_.insert(target);
      if (target->tensor.sizes() != tensor.sizes()) {
        problems_.push_back("`" + name + "` is " + c10::str(tensor.sizes()) + ", the model has " +
                            c10::str(target->tensor.sizes()));
      } else if (target->tensor.is_floating_point() != tensor.is_floating_point()) {
        problems_.push_back("`" + name + "` is of another kind of number than the model's");
      } else if (copies_.contains(target) && !at::equal(*copies_[target], tensor)) {
        problems_.push_back("`" + name +
                            "` shares its tensor with other names in the model, but the "
                            "file gives them different values");
      } else {
        copies_[target] = &tensor;
      }
    }
  }

  // The checksum of the original in full width, which a file of packed weights records; -1 if not.
  std::int64_t recorded_crc32(const ModelTensor& tensor) const {
    const auto found = file_.metadata().find(kRecordedCrc32 + tensor.name);
    if (found == file_.metadata().end()) return -1;
    std::int64_t crc32 = -1;
    std::istringstream(found->second) >> crc32;
    return crc32;
  }

  void throw_if_any() const {
    if (problems_.empty()) return;
    throw Error({.stage = Stage::kModel,
                 .message = "the weights do not fit the model:\n  - " + join(problems_, "\n  - "),
                 .hint = "[model] weights needs the whole state dict of this model",
                 .location = path_.string()});
  }

  const std::filesystem::path& path_;
  SafetensorsFile file_;
  TensorsByName given_;
  std::map<std::string, ModelTensor*> wanted_;
  std::vector<std::string> names_;
  std::vector<std::string> problems_;
  std::set<const ModelTensor*> met_;  // in the file, whether it fits or not
  std::map<ModelTensor*, std::shared_ptr<const PackedWeight>> packed_;
  std::map<ModelTensor*, const at::Tensor*> copies_;
};

}  // namespace

void load_weights(ModelData& model, const std::filesystem::path& file) {
  GivenWeights(model, file).load();
}

}  // namespace tenon
