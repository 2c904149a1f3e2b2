#pragma once

#include "data/data_source.h"

namespace tenon {

// A CSV file as a dataset: the columns of `config.inputs` (all but the target by default) joined to
// one (rows, columns) tensor for the model's only input, without `scale`.
Dataset read_csv_dataset(const std::filesystem::path& file, const DataConfig& config,
                         const LossKind& loss, const std::vector<InputSpec>& inputs);

}  // namespace tenon
