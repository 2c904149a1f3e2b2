#include "app/resume.h"

#include <ATen/Parallel.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <system_error>

#include "app/shell_quotes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/suggest.h"
#include "model/fingerprint.h"
#include "operations/adapter_stages.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

// Keys that change how long a run goes on, what it measures and where it writes, and no step that
// it has in common with the other.
const std::set<std::string_view>& keys_that_may_change() {
  static const std::set<std::string_view> keys = {"train.epochs",
                                                  "train.steps",
                                                  "train.threads",
                                                  "train.ddp_timeout",
                                                  "train.eval_steps",
                                                  "train.eval_batch_size",
                                                  "train.load_best_model_at_end",
                                                  "train.metric_for_best_model",
                                                  "train.greater_is_better",
                                                  "train.early_stopping_patience",
                                                  "train.early_stopping_threshold",
                                                  "train.metrics"};
  return keys;
}

// What these name is compared by what is in it.
const std::set<std::string_view>& keys_of_content() {
  static const std::set<std::string_view> keys = {"model.path", "model.weights", "data.train",
                                                  "data.eval"};
  return keys;
}

bool may_change(const std::string& key) {
  return key.starts_with("output.") || key.starts_with("plugins.") ||
         keys_that_may_change().contains(key) || keys_of_content().contains(key);
}

std::string value_in(const std::map<std::string, std::string>& values, const std::string& key) {
  const auto found = values.find(key);
  return found == values.end() ? "left out" : found->second;
}

std::set<std::string> keys_of(const std::map<std::string, std::string>& one,
                              const std::map<std::string, std::string>& other) {
  std::set<std::string> keys;
  for (const auto& [key, value] : one) keys.insert(key);
  for (const auto& [key, value] : other) keys.insert(key);
  return keys;
}

// Of a folder all files below it, by their paths.
std::string content_hash(const fs::path& path) {
  if (!fs::is_directory(path)) return sha256_hex(MappedFile(path, Stage::kData).bytes());
  std::set<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) files.insert(entry.path());
  }
  std::string lines;
  for (const fs::path& file : files) {
    lines += file.lexically_relative(path).string() + " " +
             sha256_hex(MappedFile(file, Stage::kData).bytes()) + "\n";
  }
  return sha256_hex(lines);
}

// Of several files one after the other.
std::string content_hash(const std::vector<fs::path>& files) {
  if (files.size() == 1) return content_hash(files.front());
  std::string hashes;
  for (const fs::path& file : files) hashes += content_hash(file) + "\n";
  return sha256_hex(hashes);
}

std::map<std::string, std::string> plugins_of(const AdaptedModel& model,
                                              const Objectives& objectives) {
  std::map<std::string, std::string> hashes;
  for (const std::string& name : model.adapter_names()) {
    for (const RecordedLayer& layer : adapter_files(model, model.adapter(name)).layers) {
      hashes[layer.plugin] = layer.sha256;
    }
  }
  for (const PluginInfo* plugin : plugins_of(objectives)) hashes[plugin->id] = plugin->sha256;
  return hashes;
}

// A run cannot become shorter than it is.
void compare_lengths(const TrainingState& then, const TrainConfig& now,
                     std::vector<std::string>& problems, std::vector<std::string>& notes) {
  const std::string taken = std::to_string(then.step) + " steps were taken";
  if (now.steps && *now.steps < then.step) {
    problems.push_back("`train.steps` is " + std::to_string(*now.steps) + ", and " + taken);
  }
  if (now.steps && *now.steps == then.step) notes.push_back("nothing is left to train: " + taken);
  if (!now.steps && static_cast<double>(now.epochs.value_or(1)) < then.epoch) {
    problems.push_back("`train.epochs` is " + std::to_string(now.epochs.value_or(1)) + ", and " +
                       taken + ", which are more passes");
  }
}

[[noreturn]] void fail_resume(const std::vector<std::string>& problems, const std::string& hint) {
  throw Error({.stage = Stage::kConfig,
               .message = "the run cannot go on from its checkpoint: " + join(problems, "; "),
               .hint = hint});
}

// As a shell takes it.
std::string quoted_argument(const std::string& text) {
  constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-=:,+@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  return in_shell_quotes(text);
}

}  // namespace

fs::path run_folder(const RunConfig& config) {
  if (!config.train->full) return *config.output.directory;
  fs::path folder = *config.output.model;
  folder.replace_extension();
  folder += ".run";
  return folder;
}

std::optional<fs::path> checkpoint_to_resume(const CommandLine& line, const RunConfig& config) {
  if (!line.resume) return std::nullopt;
  if (!line.resume->empty()) return line.resume;
  const std::vector<CheckpointPlace> places = checkpoints_in(run_folder(config));
  if (places.empty()) return std::nullopt;
  return places.back().folder;
}

bool is_of_this_machine(const std::string& key) {
  return key.starts_with("output.") || key.starts_with("plugins.") || key == "train.threads" ||
         keys_of_content().contains(key);
}

TrainingOrigin origin_of(const RunConfig& config, const AdaptedModel& model,
                         const Objectives& objectives, std::int64_t processes) {
  TrainingOrigin origin;
  origin.config = config.values;
  origin.data["data.train"] = content_hash(config.data->train);
  if (!config.data->eval.empty()) origin.data["data.eval"] = content_hash(config.data->eval);
  origin.base = base_fingerprint(model.base_tensors());
  origin.plugins = plugins_of(model, objectives);
  origin.threads = at::get_num_threads();
  origin.processes = processes;
  origin.libtorch = TORCH_VERSION;
  origin.tenon = TENON_VERSION;
  return origin;
}

std::vector<std::string> compare_configs(const Checkpoint& then, const RunConfig& now) {
  std::vector<std::string> problems;
  std::vector<std::string> notes;
  compare_lengths(then.state, *now.train, problems, notes);
  for (const std::string& key : keys_of(then.origin.config, now.values)) {
    const std::string before = value_in(then.origin.config, key);
    const std::string after = value_in(now.values, key);
    if (before == after) continue;
    std::string text = "`" + key + "` was ";
    text.append(before).append(" and is ").append(after);
    if (!may_change(key)) {
      problems.push_back(text);
    } else if (key.starts_with("train.")) {
      notes.push_back(text + ": what follows is no longer what one run would have given");
    }
  }
  if (problems.empty()) return notes;
  fail_resume(problems, "give the values that it was trained with, or train from the start");
}

std::vector<std::string> compare_origins(const TrainingOrigin& then, const TrainingOrigin& now) {
  std::vector<std::string> problems;
  for (const std::string& key : keys_of(then.data, now.data)) {
    if (value_in(then.data, key) == value_in(now.data, key)) continue;
    if (!then.data.contains(key) || !now.data.contains(key)) {
      problems.push_back("`" + key + "` was " + value_in(then.config, key) + " and is " +
                         value_in(now.config, key));
      continue;
    }
    problems.push_back("`" + key + "`, " + value_in(now.config, key) +
                       ", does not hold what it was trained on (" + value_in(then.config, key) +
                       ")");
  }
  if (then.base != now.base) {
    problems.push_back("the base has other weights: `model.path` was " +
                       value_in(then.config, "model.path") + " and is " +
                       value_in(now.config, "model.path"));
  }
  if (!problems.empty()) {
    fail_resume(problems, "give it the files that it was trained with, or train from the start");
  }
  std::vector<std::string> notes;
  const auto compare = [&](const std::string& what, const std::string& before,
                           const std::string& after) {
    if (before == after) return;
    notes.push_back(what + " was " + before + " and is " + after +
                    ": what follows may differ from one run in the last bits");
  };
  if (then.processes != now.processes) {
    notes.push_back(
        "the number of processes was " + std::to_string(then.processes) + " and is " +
        std::to_string(now.processes) +
        ": a step has as many more or fewer rows, so what follows differs from one run");
  }
  compare("the number of threads", std::to_string(then.threads), std::to_string(now.threads));
  compare("LibTorch", then.libtorch, now.libtorch);
  compare("tenon", then.tenon, now.tenon);
  for (const auto& [id, sha256] : then.plugins) {
    if (value_in(now.plugins, id) == sha256) continue;
    notes.push_back("the plugin " + id +
                    " is another file than before: what follows may differ from one run");
  }
  return notes;
}

std::string resume_command(const CommandLine& line) {
  std::string command = "tenon run " + quoted_argument(line.target.string());
  for (const std::string& set : line.overrides) command += " --set " + quoted_argument(set);
  for (const auto& folder : line.plugin_directories) {
    command += " --plugin-dir " + quoted_argument(folder.string());
  }
  return command + " --resume";
}

}  // namespace tenon
