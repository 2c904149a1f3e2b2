#include "app/run_report.h"

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "adapted/parameter_count.h"
#include "app/profile_text.h"
#include "train/device_memory.h"

namespace tenon {
namespace {

using RunJson = nlohmann::ordered_json;

double peak_rss_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

RunJson evaluation_json(const std::optional<Evaluation>& evaluation) {
  if (!evaluation) return nullptr;
  RunJson json = {
      {"loss", evaluation->loss},
      {"accuracy", evaluation->accuracy ? RunJson(*evaluation->accuracy) : RunJson(nullptr)}};
  for (const auto& [name, value] : evaluation->metrics) json[name] = value;
  if (evaluation->confusion) json["confusion_matrix"] = *evaluation->confusion;
  return json;
}

// Null for the CPU.
RunJson device_peak_mb(c10::Device device) {
  const auto memory = device_memory(device);
  return memory ? RunJson(memory->peak / (1 << 20)) : RunJson(nullptr);
}

}  // namespace

void print_line(const CommandLine& line, const std::string& text) {
  if (!line.json && !line.quiet) std::cout << text << std::endl;
}

void print_plugins(const CommandLine& line, const PluginRegistry& plugins,
                   const AdaptedModel& model) {
  std::set<std::string> used;
  for (const std::string& name : model.adapter_names()) {
    for (const PlannedLayer& layer : model.adapter(name).layers) {
      used.insert(layer.layer_type->plugin().id);
    }
  }
  for (const PluginInfo* plugin : plugins.plugins()) {
    if (!line.verbose && !used.contains(plugin->id)) continue;
    print_line(line, "plugin " + plugin->id + " " + plugin->version + "  " + plugin->path.string());
  }
}

void print_adapters(const CommandLine& line, const AdaptedModel& model) {
  for (const std::string& name : model.adapter_names()) {
    for (const PlannedLayer& layer : model.adapter(name).layers) {
      const LayerFacts::Description& facts = layer.facts->description();
      print_line(line, "adapted  " + facts.module_path + "  " + facts.type + " -> " +
                           layer.layer_type->title() + "  (" + layer.layer_type->plugin().id + ")" +
                           (model.adapter_names().size() > 1 ? "  [" + name + "]" : ""));
    }
  }
}

std::string evaluation_text(const std::string& when, const Evaluation& evaluation) {
  std::string text = "evaluation " + when + ": loss " + std::to_string(evaluation.loss);
  if (evaluation.accuracy) text += "  accuracy " + std::to_string(*evaluation.accuracy);
  for (const auto& [name, value] : evaluation.metrics) {
    if (name != "accuracy") text += "  " + name + " " + std::to_string(value);
  }
  if (evaluation.rows_left_out > 0) {
    text += "  (" + std::to_string(evaluation.rows_left_out) +
            " rows left out: the program takes no batch of so few)";
  }
  return text;
}

Measures measures_of(const Evaluation& evaluation) {
  Measures measures{{"loss", evaluation.loss}};
  if (evaluation.accuracy) measures["accuracy"] = *evaluation.accuracy;
  for (const auto& [name, value] : evaluation.metrics) measures[name] = value;
  return measures;
}

std::string best_text(const BestValue::State& best, const TrainConfig& config) {
  return "the best was step " + std::to_string(best.step) + ", " + config.metric_for_best_model +
         " " + std::to_string(*best.value) + ": its weights are saved";
}

std::vector<std::string> training_notes(const TrainingResult& training, const std::string& loss) {
  std::vector<std::string> notes;
  if (training.rows_left_out > 0) {
    notes.push_back(std::to_string(training.rows_left_out) +
                    " rows of each epoch were left out: the export fixed the batch size, or takes "
                    "no batch of so few");
  }
  if (training.batches_skipped > 0) {
    notes.push_back(std::to_string(training.batches_skipped) +
                    (training.batches_skipped == 1 ? " batch was" : " batches were") +
                    " skipped: no label in it is judged, every one is -100");
  }
  if (training.steps_left_out > 0) {
    notes.push_back(std::to_string(training.steps_left_out) + " of " +
                    std::to_string(training.steps) +
                    " steps were left out: their gradients overflowed float16; the loss scale is " +
                    std::to_string(static_cast<std::int64_t>(*training.loss_scale)) + " now");
  }
  if (!training.has_moved && !training.interrupted && !training.not_finite_step) {
    notes.emplace_back(
        "no trained parameter has moved: what is saved is what training started from; is the "
        "gradient 0, or [train] learning_rate too small for the parameters' precision?");
  }
  if (training.went_negative && loss == "nll") {
    notes.emplace_back(
        "the loss nll was negative: it takes log-probabilities, which are never above 0; end the "
        "model in LogSoftmax, or set [train] loss = \"cross_entropy\"");
  }
  return notes;
}

std::string run_json(const AdaptedModel& model, const RunOutcome& outcome,
                     const std::string& output) {
  const ParameterCount count = count_parameters(model);
  const TrainingResult& training = outcome.training;
  RunJson json = {
      {"trainable_params", count.trainable},
      {"all_params", count.all},
      {"steps", training.steps},
      {"losses", training.losses},
      {"learning_rates", training.learning_rates},
      {"grad_norms", training.grad_norms},
      {"eval",
       {{"before", evaluation_json(outcome.before)}, {"after", evaluation_json(outcome.after)}}},
      {"step_ms",
       {{"median", training.step_ms_median},
        {"min", training.step_ms_min},
        {"max", training.step_ms_max}}},
      {"rows_left_out", training.rows_left_out},
      {"batches_skipped", training.batches_skipped},
      {"steps_left_out", training.steps_left_out},
      {"interrupted", training.interrupted},
      {"stopped_early", training.stopped_early},
      {"best", training.best.value
                   ? RunJson{{"step", training.best.step}, {"value", *training.best.value}}
                   : RunJson(nullptr)},
      {"peak_rss_mb", peak_rss_mb()},
      {"peak_device_mb", device_peak_mb(model.model().device)},
      {"output", output}};
  if (!outcome.resume.empty()) json["resume"] = outcome.resume;
  if (outcome.profile) json["profile"] = profile_json(*outcome.profile);
  return json.dump(2);
}

}  // namespace tenon
