#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "graph/graph.h"
#include "objectives/loss_kind.h"

namespace tenon {

class ImageReader;

// Rows of examples: one tensor per model input and the target, rows in dimension 0.
struct Dataset {
  std::vector<std::string> input_names;
  std::vector<at::Tensor> inputs;
  std::shared_ptr<const ImageReader> images;  // in place of `inputs`: read batch by batch
  std::optional<at::Tensor> weights;          // of the rows, float64; absent: all weigh 1
  std::optional<at::Tensor> target;  // absent only where the loss needs none (causal_lm, output)
  std::string target_name = {};
  std::vector<at::Tensor> other_targets = {};  // of the losses behind the first; undefined: none
  std::int64_t rows = 0;
  std::string source;
  std::vector<std::string> columns = {};  // of a CSV file: what is joined to its one input
  std::vector<bool> shared = {};          // inputs that are the same for all rows; empty: none is
  bool is_one_batch = false;  // rows that belong together, in their order, such as a graph's
  std::vector<std::string> notes = {};  // what was found, for the user
};

// Reads one file of [data] (safetensors, .npy, .npz or CSV, told apart by content), or a folder of
// images, for a model with `inputs` and the given loss: picks and checks the columns or tensors,
// applies `scale` to float inputs, casts integer inputs to the model's dtype where that is exact.
// Throws Error{Stage::kData}; all that is missing or misfit is listed at once.
Dataset read_dataset(const std::filesystem::path& file, const DataConfig& config,
                     const LossKind& loss, const std::vector<InputSpec>& inputs);

// Several files, their rows one after the other; a file of its own is taken as above.
Dataset read_dataset(const std::vector<std::filesystem::path>& files, const DataConfig& config,
                     const LossKind& loss, const std::vector<InputSpec>& inputs);

// Makes the targets of `class_number` those that no loss judges, -100.
void ignore_class(Dataset& data, std::int64_t class_number);

// Whether read_dataset takes the file as CSV.
bool is_csv_file(const std::filesystem::path& file);

// Only the inputs (for predict): tensors named like the model's inputs, or all images below a
// folder, sorted by their paths; of a CSV file the columns that `config` names. Scaled as in
// training.
std::vector<at::Tensor> read_inputs(const std::filesystem::path& file, const DataConfig& config,
                                    const std::vector<InputSpec>& inputs);

// Row numbers of each batch of one epoch. With `fixed_size` a shorter last batch is left out. With
// `lengths`, one for each row, a batch holds rows of like length: every 50 batches are sorted, the
// longest rows first (transformers: group_by_length).
std::vector<std::vector<std::int64_t>> batch_rows(std::int64_t rows, std::int64_t batch_size,
                                                  bool shuffle, std::uint64_t seed,
                                                  std::int64_t epoch, bool fixed_size,
                                                  const std::vector<std::int64_t>& lengths = {});

}  // namespace tenon
