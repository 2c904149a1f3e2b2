#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "config/run_config.h"
#include "data/data_source.h"
#include "graph/graph.h"

namespace tenon {

// Files of rows, checked against the model.
Dataset read_rows(const std::vector<std::filesystem::path>& files, const DataConfig& data,
                  const TrainConfig& train, const ModelData& model);

struct TrainingData {
  Dataset train;
  std::optional<Dataset> held_out;  // of its rows, by [data] eval_fraction
};

// [data] train. Class weights that are to be balanced by its rows are put into the config.
TrainingData training_data(RunConfig& config, const ModelData& model);

// [data] eval or the rows held out, if there are some. The columns of a CSV file are those of the
// training file, in whatever order they stand.
std::optional<Dataset> evaluation_data(const RunConfig& config, const ModelData& model,
                                       const TrainingData& training);

}  // namespace tenon
