#pragma once

#include <cstdint>
#include <vector>

#include "data/batches.h"
#include "data/data_source.h"

namespace tenon {

// Rows of unequal length in tensors of one width: what lies behind a row's end is padding, told by
// the model's `attention_mask`, whose dimension 1 the export kept dynamic.
class RowLengths {
 public:
  // Throws Error{Stage::kTraining} where the model takes no such mask, where its width is fixed, or
  // where a label behind a row's end is judged, since leaving it out would change the loss.
  RowLengths(const Dataset& data, const std::vector<InputSpec>& inputs);

  const std::vector<std::int64_t>& lengths() const { return lengths_; }  // one for each row

  // Cuts the padding that all rows of the batch have, from every tensor of the mask's width.
  void cut_padding(Batch& batch, const std::vector<std::int64_t>& rows) const;

 private:
  struct Width {
    std::size_t input;
    std::int64_t dimension;
  };

  std::vector<std::int64_t> lengths_;
  std::vector<Width> widths_;  // where inputs have the mask's width
  bool target_has_width_ = false;
  std::int64_t width_ = 0;
  std::int64_t shortest_ = 1;  // that the export allows
};

}  // namespace tenon
