#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "adapted/adapted_model.h"
#include "model/tensor_file.h"
#include "pt2/pt2_writer.h"

// A model whose adapters are merged (AdaptedModel::merge), as a file of its own that needs neither
// adapters nor plugins.
namespace tenon {

struct MergedModel {
  std::vector<pt2::TensorChange> changes;
  std::vector<std::string> names;   // of the tensors that are merged
  std::vector<std::string> untied;  // names that no longer share a tensor with others
};

// What differs from the base. A tensor of several names keeps them all, unless its readers are left
// with the original or want different ones: then each adapted layer's name gets its own.
MergedModel merged_model(const AdaptedModel& model);

// Every persistent tensor by every name that it has: what load_state_dict takes.
NamedTensors merged_state(const AdaptedModel& model, const MergedModel& merged);

// The exported program that `model` was read from, with the merged tensors in place. What was
// written is read again and compared with `model`, operator by operator, before it gets its name.
// `all_tensors`: the base's tensors are not the file's own ([model] weights). Throws
// Error{Stage::kOutput}; nothing is left then.
void write_merged_program(const AdaptedModel& model, const MergedModel& merged, bool all_tensors,
                          const std::filesystem::path& target,
                          Existing existing = Existing::kReplaced);

}  // namespace tenon
