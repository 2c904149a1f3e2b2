#include "app/run_data.h"

#include <algorithm>
#include <system_error>

#include "base/file.h"
#include "base/log.h"
#include "model/id_tables.h"
#include "train/data_check.h"

namespace tenon {
namespace {

Dataset read_rows(const std::filesystem::path& file, const DataConfig& data,
                  const RunConfig& config, const AdaptedModel& model) {
  Dataset rows = read_dataset(file, data, config.train->loss, model.model().inputs);
  check_ids(rows, id_tables(model.model()));
  for (const std::string& note : rows.notes) log::info(note);
  return rows;
}

// Whether two paths name one file, or files with the same bytes.
bool hold_the_same(const std::filesystem::path& one, const std::filesystem::path& other) {
  std::error_code ignored;
  if (std::filesystem::equivalent(one, other, ignored)) return true;
  if (!std::filesystem::is_regular_file(one, ignored)) return false;
  if (!std::filesystem::is_regular_file(other, ignored)) return false;
  const MappedFile first(one, Stage::kData);
  const MappedFile second(other, Stage::kData);
  return std::ranges::equal(first.bytes(), second.bytes());
}

}  // namespace

Dataset training_data(const RunConfig& config, const AdaptedModel& model) {
  return read_rows(config.data->train, *config.data, config, model);
}

std::optional<Dataset> evaluation_data(const RunConfig& config, const AdaptedModel& model,
                                       const Dataset& training) {
  if (!config.data->eval) return std::nullopt;
  if (hold_the_same(*config.data->eval, config.data->train)) {
    log::warning("[data] eval holds the same as [data] train, " + training.source +
                 ": what is evaluated was trained on");
  }
  DataConfig data = *config.data;
  if (data.inputs.empty() && !training.columns.empty()) data.columns = training.columns;
  return read_rows(*data.eval, data, config, model);
}

}  // namespace tenon
