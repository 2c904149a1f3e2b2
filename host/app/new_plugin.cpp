#include "app/new_plugin.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "adapted/adapted_model.h"
#include "app/new_plugin_texts.h"
#include "app/project_files.h"
#include "app/sdk_folder.h"
#include "base/error.h"
#include "check/trial_base.h"
#include "declared/declared_model.h"
#include "model/tensor_file.h"

namespace tenon {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kBatches = 8;  // of the trial's own size, in the data to try it with

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool is_identifier(const std::string& word) {
  return !word.empty() && std::isdigit(static_cast<unsigned char>(word[0])) == 0 &&
         std::all_of(word.begin(), word.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

// "acme.layers.Fancy" -> "acme.layers" and "Fancy".
std::pair<std::string, std::string> split_type(const std::string& type) {
  const std::size_t dot = type.rfind('.');
  const std::string module = type.substr(0, dot == std::string::npos ? 0 : dot);
  const std::string name = type.substr(dot == std::string::npos ? 0 : dot + 1);
  std::string part;
  bool is_sound = dot != std::string::npos && is_identifier(name);
  for (const char c : module + ".") {
    if (c != '.') {
      part += c;
      continue;
    }
    is_sound = is_sound && is_identifier(part);
    part.clear();
  }
  if (!is_sound) {
    throw Error({.stage = Stage::kCommandLine,
                 .message = "`" + type + "` is no type name",
                 .hint = "write the class with its module, as `tenon tree` prints it: acme.Fancy, "
                         "torch.nn.LSTM"});
  }
  return {module, name};
}

// As TOML writes the arguments that trial layers have: truths, whole numbers and lists of them.
std::string toml(const OptionValue& value) {
  if (const auto* truth = std::get_if<bool>(&value)) return *truth ? "true" : "false";
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  std::string items;
  for (const std::int64_t item : std::get<std::vector<std::int64_t>>(value)) {
    items += (items.empty() ? "" : ", ") + std::to_string(item);
  }
  return "[" + items + "]";
}

std::string declaration_text(const DeclaredLayer& layer) {
  std::string text = "type = \"" + layer.type + "\"";
  for (const auto& [key, value] : layer.arguments) text += "\n" + key + " = " + toml(value);
  return text;
}

// What every try.toml has beside its model.
std::string training_text(const NewPlugin& wanted, bool is_declared) {
  return std::string("\n[adapter]\nmethod = \"") + wanted.method +
         "\"\ntarget_modules = [\"layer\"]\n" + (wanted.method == "lora" ? "r = 2\n" : "") +
         "\n[data]\ntrain = \"train.safetensors\"\n" +
         "\n[train]\nloss = \"mse\"\nlearning_rate = 0.01\nsteps = 20\nbatch_size = " +
         (is_declared ? "4" : "16") +
         "\n\n[output]\ndirectory = \"adapter\"\nforce = true  # each run replaces it\n";
}

// Inputs of the declared layer, and what another layer of its kind makes of them.
void write_trial_data(const fs::path& file, const std::string& type) {
  const at::NoGradGuard no_grad;
  const TrialBase trial = *declare_trial(type);
  ModelConfig config;
  config.layers = {*declared_trial_layer(type)};
  config.seed = 1;
  const AdaptedModel teacher(build_declared_model(config));
  std::vector<at::Tensor> inputs;
  std::vector<at::Tensor> labels;
  for (std::size_t i = 0; i < kBatches; ++i) {
    inputs.push_back(trial.draw_inputs(i).front());
    labels.push_back(teacher.forward({inputs.back()}, {}).front());
  }
  write_tensor_file(file, {{"input", at::cat(inputs)}, {"labels", at::cat(labels)}});
}

constexpr const char* kExportSection = R"(
## A model to try it on
`python export_model.py` writes `model.pt2` and `train.safetensors` with your own class (it needs
PyTorch and safetensors); see the lines with an arrow there.
)";

}  // namespace

std::vector<std::string> write_new_plugin(const NewPlugin& wanted) {
  const auto [module, class_name] = split_type(wanted.type);
  if (!is_identifier(wanted.method)) {
    throw Error({.stage = Stage::kCommandLine,
                 .message = "`" + wanted.method + "` is no name of a method"});
  }
  const bool is_declared = can_declare_trial(wanted.type);
  const bool is_lora = wanted.method == "lora";
  const std::string vendor = module == "torch.nn" || module == "__main__"
                                 ? "my"
                                 : lower(module.substr(0, module.find('.')));
  const std::string name = wanted.method + "_" + lower(class_name);
  const fs::path include = sdk_folder();
  ProjectNames names{
      {"TYPE", wanted.type},
      {"METHOD", wanted.method},
      {"CLASS", class_name},
      {"MODULE", module},
      {"NAME", name},
      {"STRUCT", (is_lora ? "Lora" : "Adapted") + class_name},
      {"PLUGIN_ID", vendor + "." + wanted.method + "-" + lower(class_name)},
      {"LAYER_ID", vendor + "." + wanted.method + "-" + lower(class_name) + "-layer"},
      {"INCLUDE", include.string()},
      {"PREFIX", include.parent_path().string()},
      {"EXPORT_SECTION", is_declared ? "" : kExportSection},
      {"CHECK_MODEL", is_declared ? "" : " --model model.pt2 --layer layer"}};
  if (is_declared) names["DECLARATION"] = declaration_text(*declared_trial_layer(wanted.type));

  namespace texts = new_plugin;
  std::string method_class = wanted.method + "Method";
  method_class[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(method_class[0])));
  names["METHOD_CLASS"] = method_class;
  names["METHOD_STRUCT"] = wanted.is_new_method ? fill_in(texts::kMethodStruct, names) : "";
  names["PARTS"] = (wanted.is_new_method ? method_class + ", " : "") + names["STRUCT"];
  ProjectFiles files{
      {name + ".cpp", is_lora ? texts::kLowRankSource : texts::kOffsetSource},
      {"CMakeLists.txt", texts::kCmakeLists},
      {"try.toml", std::string(is_declared ? texts::kTryDeclared : texts::kTryExported) +
                       training_text(wanted, is_declared)},
      {"README.md", texts::kReadme}};
  if (!is_declared) files.emplace_back("export_model.py", texts::kExportScript);

  write_project(wanted.folder, files, names);
  std::vector<std::string> written;
  for (const auto& [file, text] : files) written.push_back(file);
  if (is_declared) {
    write_trial_data(wanted.folder / "train.safetensors", wanted.type);
    written.emplace_back("train.safetensors");
  }
  return written;
}

}  // namespace tenon
