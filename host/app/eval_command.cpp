#include <ATen/Parallel.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "adapted/adapted_model.h"
#include "app/commands.h"
#include "app/load_base.h"
#include "app/rank_agreement.h"
#include "app/run_data.h"
#include "app/run_report.h"
#include "app/stages.h"
#include "app/thread_check.h"
#include "base/error.h"
#include "base/file_watch.h"
#include "base/log.h"
#include "config/toml_reader.h"
#include "data/data_source.h"
#include "model/export_notes.h"
#include "plugin/plugin_registry.h"
#include "train/trainer.h"
#include "train/training_task.h"

namespace tenon {
namespace {

// --data, else what a run would evaluate on.
Dataset rows_to_evaluate(const CommandLine& line, RunConfig& config, const ModelData& model) {
  const bool reads_training = line.data.empty() || config.train->balanced_classes ||
                              (config.data->inputs.empty() && !config.data->train.empty() &&
                               is_csv_file(config.data->train.front()));
  TrainingData training;
  if (reads_training) training = training_data(config, model);
  if (!line.data.empty()) config.data->eval = {line.data};
  if (auto rows = evaluation_data(config, model, training)) return *std::move(rows);
  throw Error({.stage = Stage::kConfig,
               .message = "there is nothing to evaluate on: [data] eval is missing",
               .hint = "set it, or give --data FILE",
               .location = config.data->location});
}

}  // namespace

int eval_command(const CommandLine& line, const std::shared_ptr<Ranks>& ranks) {
  RunConfig config = read_run_config(line.target, line.overrides, {.evaluation = true});
  if (config.train->threads > 0) at::set_num_threads(static_cast<int>(config.train->threads));
  require_threads(at::get_num_threads());
  ranks->set_timeout(config.train->ddp_timeout);
  require_agreement(*ranks, facts_of(config));
  config.model.verify = !line.no_verify;
  const PluginRegistry plugins(config.plugins, line.plugin_directories);
  const Objectives objectives = find_objectives(*config.train, plugins);
  ModelData data = load_base(config, plugins);
  for (const std::string& note : evaluation_notes(data)) log::warning(note);
  const Dataset rows = rows_to_evaluate(line, config, data);
  AdaptedModel model = with_adapters(std::move(data), named_folders(line.adapters), plugins);
  model.set_active(line.active.empty() ? model.adapter_names() : line.active, false);
  TrainingTask task = training_task(model, *config.train, objectives);
  task.ranks = ranks;
  const Evaluation evaluation = evaluate(task, rows, *config.train);
  require_unchanged_files(Stage::kModel);
  if (!line.json) {
    print_line(line, evaluation_text("of " + rows.source, evaluation));
    return 0;
  }
  nlohmann::ordered_json json = {{"loss", evaluation.loss},
                                 {"rows", rows.rows - evaluation.rows_left_out}};
  for (const auto& [name, value] : measures_of(evaluation)) json[name] = value;
  std::cout << json.dump(2) << "\n";
  return 0;
}

}  // namespace tenon
