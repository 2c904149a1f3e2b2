#include "app/run_data.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "data/data_check.h"
#include "data/held_out.h"
#include "model/id_tables.h"
#include "objectives/loss.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

// Whether two paths name one file, or files with the same bytes.
bool hold_the_same(const fs::path& one, const fs::path& other) {
  std::error_code ignored;
  if (fs::equivalent(one, other, ignored)) return true;
  if (!fs::is_regular_file(one, ignored)) return false;
  if (!fs::is_regular_file(other, ignored)) return false;
  const MappedFile first(one, Stage::kData);
  const MappedFile second(other, Stage::kData);
  return std::ranges::equal(first.bytes(), second.bytes());
}

// The rows with the target of one loss.
Dataset read_term(const std::vector<fs::path>& files, const DataConfig& data,
                  const TrainConfig& train, const LossTerm& term, const ModelData& model) {
  DataConfig own = data;
  if (term.target) {
    own.target = *term.target;
    own.explicit_keys.insert("target");
  }
  Dataset rows = read_dataset(files, own, term, model.inputs);
  ignore_class(rows, train.ignore_index);
  return rows;
}

}  // namespace

Dataset read_rows(const std::vector<fs::path>& files, const DataConfig& data,
                  const TrainConfig& train, const ModelData& model) {
  Dataset rows = read_term(files, data, train, train, model);
  for (const LossTerm& term : train.other_losses) {
    const Dataset other = read_term(files, data, train, term, model);
    rows.other_targets.push_back(other.target.value_or(at::Tensor()));
  }
  check_ids(rows, id_tables(model));
  for (const std::string& note : rows.notes) log::info(note);
  return rows;
}

TrainingData training_data(RunConfig& config, const ModelData& model) {
  const DataConfig& data = *config.data;
  TrainingData all{read_rows(data.train, data, *config.train, model), std::nullopt};
  if (data.eval_fraction) {
    auto [kept, held] = hold_out(all.train, *data.eval_fraction, data.eval_seed, data.stratify);
    all = {std::move(kept), std::move(held)};
  }
  if (all.train.target) balance_classes(*config.train, *all.train.target);
  for (std::size_t i = 0; i < config.train->other_losses.size(); ++i) {
    const at::Tensor& target = all.train.other_targets[i];
    if (target.defined()) balance_classes(config.train->other_losses[i], target);
  }
  return all;
}

std::optional<Dataset> evaluation_data(const RunConfig& config, const ModelData& model,
                                       const TrainingData& training) {
  const std::vector<fs::path>& files = config.data->eval;
  if (files.empty()) return training.held_out;
  for (const fs::path& file : files) {
    const auto is_it = [&](const fs::path& other) { return hold_the_same(file, other); };
    if (std::ranges::none_of(config.data->train, is_it)) continue;
    log::warning("[data] eval holds the same as [data] train, " + training.train.source +
                 ": what is evaluated was trained on");
  }
  DataConfig data = *config.data;
  if (data.inputs.empty() && !training.train.columns.empty()) {
    data.columns = training.train.columns;
  }
  return read_rows(files, data, *config.train, model);
}

}  // namespace tenon
