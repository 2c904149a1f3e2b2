#include "data/joined_data.h"

#include <ATen/ops/cat.h>

#include <functional>

#include "base/error.h"

namespace tenon {
namespace {

[[noreturn]] void fail_join(const Dataset& part, const std::string& message) {
  throw Error({.stage = Stage::kData,
               .message = message,
               .hint =
                   "the files of a list hold the same tensors or columns, of the same sizes but "
                   "for their rows",
               .location = part.source});
}

// What each part has under one name, its rows joined.
at::Tensor joined(const std::vector<Dataset>& parts, const std::string& name,
                  const std::function<const at::Tensor&(const Dataset&)>& tensor_in) {
  std::vector<at::Tensor> tensors;
  const at::Tensor& first = tensor_in(parts.front());
  for (const Dataset& part : parts) {
    const at::Tensor& tensor = tensor_in(part);
    if (tensor.dim() != first.dim() || tensor.sizes().slice(1) != first.sizes().slice(1)) {
      fail_join(part, "`" + name + "` has other sizes than in " + parts.front().source);
    }
    tensors.push_back(tensor.to(first.scalar_type()));
  }
  return at::cat(tensors);
}

}  // namespace

Dataset join_datasets(const std::vector<Dataset>& parts) {
  Dataset all = parts.front();
  all.rows = 0;
  for (const Dataset& part : parts) {
    if (part.images) fail_join(part, "a folder of images cannot stand in a list");
    if (part.is_one_batch)
      fail_join(part, "its rows belong together, and cannot be joined to others");
    if (part.target.has_value() != all.target.has_value()) {
      fail_join(part, "some of the files have a target, and some have none");
    }
    all.rows += part.rows;
  }
  for (std::size_t i = 0; i < all.inputs.size(); ++i) {
    const bool is_shared = i < all.shared.size() && all.shared[i];
    if (is_shared || all.inputs[i].dim() == 0) continue;
    all.inputs[i] =
        joined(parts, all.input_names[i],
               [i](const Dataset& part) -> const at::Tensor& { return part.inputs[i]; });
  }
  if (all.target) {
    all.target = joined(parts, all.target_name,
                        [](const Dataset& part) -> const at::Tensor& { return *part.target; });
  }
  if (all.weights) {
    all.weights = joined(parts, "the weights of the rows",
                         [](const Dataset& part) -> const at::Tensor& { return *part.weights; });
  }
  all.source += " and " + std::to_string(parts.size() - 1) +
                (parts.size() == 2 ? " other file" : " other files");
  return all;
}

}  // namespace tenon
