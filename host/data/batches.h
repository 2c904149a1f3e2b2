#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "config/run_config.h"
#include "data/data_source.h"
#include "graph/graph.h"
#include "graph/size_expression.h"

namespace tenon {

// One batch: copies of some rows of a dataset, as a program may write into its inputs.
struct Batch {
  std::vector<at::Tensor> inputs;
  std::optional<at::Tensor> target;
  std::vector<std::int64_t> rows = {};  // of the dataset
  std::vector<at::Tensor> other_targets = {};
  at::Tensor weights = {};  // of the rows; undefined: all weigh 1
};

// What a step's loss of this number judges the outputs by; nothing where it needs nothing.
std::optional<at::Tensor> target_of(const Batch& batch, std::size_t loss);

Batch take_batch(const Dataset& data, const std::vector<std::int64_t>& rows);

// The batch with what a loss looks at on `device`, where the outputs are. Inputs stay: a model
// takes them from anywhere.
Batch with_targets_on(c10::Device device, Batch batch);

// Whether the program cannot take a last batch that is shorter than the others: the export fixed
// the size of a batch, or its `guards` or dimensions rule that size out. Throws
// Error{Stage::kTraining} where it cannot take batches of `batch_size`, with one that it can.
// `parts`: into how many batches of that size the rows of a step are dealt out.
bool leaves_out_last(const Dataset& data, const std::vector<InputSpec>& inputs,
                     const std::vector<SizeExpression>& guards, std::int64_t batch_size,
                     std::int64_t parts = 1);

// Rows of every epoch that are in no batch.
std::int64_t rows_left_out(const Dataset& data, bool drops_last, std::int64_t batch_size);

// Row numbers of each batch of one epoch: see data_source.h; all at once where they are one batch.
std::vector<std::vector<std::int64_t>> epoch_batches(const Dataset& data, const TrainConfig& config,
                                                     bool shuffle, std::int64_t epoch,
                                                     bool drops_last,
                                                     const std::vector<std::int64_t>& lengths = {});

// "row 150", "rows 128 to 159", "rows 3, 17, 5, 40, ...".
std::string rows_text(const std::vector<std::int64_t>& rows);

}  // namespace tenon
