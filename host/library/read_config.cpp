// The library's configs, read and checked as files are.
#include <algorithm>
#include <map>

#include "base/suggest.h"
#include "config/toml_reader.h"
#include "library/adapted_state.h"

namespace tenon {
namespace {

RunConfig read(const Config& config, const std::string& section, const ConfigScope& scope) {
  switch (config.form()) {
    case Config::Form::kFile:
      return read_run_config(config.text(), {}, scope);
    case Config::Form::kText:
      return read_run_config(ConfigText{"Config::from_text", config.text()}, scope);
    case Config::Form::kKeys:
      break;
  }
  return read_run_config(
      ConfigText{"tenon::Config",
                 config.text().empty() ? "" : "[" + section + "]\n" + config.text(),
                 /*has_lines=*/false},
      scope);
}

// What of a training looks at rows that it does not train on.
constexpr const char* kEvaluationKeys[] = {"eval_steps",
                                           "metrics",
                                           "eval_batch_size",
                                           "metric_for_best_model",
                                           "greater_is_better",
                                           "load_best_model_at_end",
                                           "early_stopping_patience",
                                           "early_stopping_threshold"};

}  // namespace

RunConfig read_adapter_config(const Config& config) {
  return read(config, "adapter", {.model = false, .adapter = true});
}

ModelConfig read_plugin_model(const std::string& model, const Table& options) {
  const Config keys{{"plugin", model}, {"options", options}};
  return read(keys, "model", {.model = true}).model;
}

RunConfig read_train_config(const Config& config) {
  RunConfig run = read(config, "train", {.model = false, .settings = true});
  std::vector<std::string> idle;
  for (const char* key : kEvaluationKeys) {
    if (run.values.contains(std::string("train.") + key)) idle.emplace_back(key);
  }
  if (run.values.contains("train.full")) idle.emplace_back("full");
  if (!idle.empty()) {
    throw Error({.stage = Stage::kConfig,
                 .message = "[train] " + join(idle) +
                            ": tenon::train has rows to train on and no others, and trains "
                            "adapters",
                 .hint = "evaluate in the function that it calls after each step, which may end "
                         "the training",
                 .location = run.file.string()});
  }
  if (!run.train) run.train.emplace();
  return run;
}

}  // namespace tenon
