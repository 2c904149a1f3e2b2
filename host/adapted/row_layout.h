#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "adapted/layer_run.h"

namespace tenon {

// The dimension of a tensor along which the rows of the batch lie, one after the other, each as
// many times as the dimension is longer than the batch.
using RowDimension = std::int32_t;
constexpr RowDimension kNoRows = -1;

// Of one call of a layer.
struct CallRows {
  std::vector<RowDimension> inputs;
  std::vector<RowDimension> outputs;
};

// Of every call of every layer.
using RowLayout = std::map<const SubgraphProgram*, CallRows>;

// Runs the base, and every layer's through the runner.
using RunBase = std::function<void(const std::vector<at::Tensor>& inputs, const LayerRunner&)>;

// Finds the layout by trial: the base runs on `inputs` and once more with their rows moved on by
// one; where a tensor of a layer then is the same with its rows moved on, there they lie. Sizes
// alone would not tell a batch from a sequence of the same length.
RowLayout find_row_layout(const std::vector<at::Tensor>& inputs, const RunBase& run_base);

// Layouts that are found already, by the inputs' sizes. May be asked from several threads.
class RowLayouts {
 public:
  std::shared_ptr<const RowLayout> find(const std::vector<at::Tensor>& inputs,
                                        const RunBase& run_base);

 private:
  std::mutex mutex_;
  std::map<std::vector<std::vector<std::int64_t>>, std::shared_ptr<const RowLayout>> layouts_;
};

}  // namespace tenon
