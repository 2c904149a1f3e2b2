#include "app/first_config.h"

#include <c10/core/ScalarType.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <vector>

#include "base/error.h"
#include "base/suggest.h"
#include "model/output_layer.h"

namespace tenon {
namespace {

// Layers of one type that one entry of target_modules means.
struct AdaptableName {
  std::string name;  // "q_proj"; the whole path where its last part is a number
  std::string type;
  int count = 0;
};

std::string name_in_config(const std::string& path) {
  const std::string last = path.substr(path.rfind('.') + 1);
  const bool is_number = std::ranges::all_of(last, [](char c) { return c >= '0' && c <= '9'; });
  return is_number ? path : last;
}

std::vector<AdaptableName> adaptable_names(
    const ModelData& model, ModuleId output,
    const std::function<bool(const std::string&)>& is_supported) {
  std::vector<AdaptableName> names;
  for (std::size_t i = 0; i < model.tree.modules.size(); ++i) {
    const Module& module = model.tree.modules[i];
    if (!module.runs || static_cast<ModuleId>(i) == output || !is_supported(module.type)) continue;
    const std::string name = name_in_config(module.path);
    const auto same = std::ranges::find_if(names, [&](const AdaptableName& known) {
      return known.name == name && known.type == module.type;
    });
    if (same == names.end()) {
      names.push_back({name, module.type, 1});
    } else {
      ++same->count;
    }
  }
  return names;
}

std::string in_toml(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string input_sizes(const InputSpec& input) {
  std::vector<std::string> sizes;
  for (const DimensionSpec& dimension : input.dimensions) {
    sizes.push_back(dimension.fixed >= 0 ? std::to_string(dimension.fixed) : "any");
  }
  return "(" + join(sizes) + ")";
}

bool takes_images(const ModelData& model) {
  if (model.inputs.size() != 1 || model.inputs[0].dimensions.size() != 4) return false;
  const std::int64_t channels = model.inputs[0].dimensions[1].fixed;
  return model.inputs[0].dtype == at::kFloat && (channels == 1 || channels == 3);
}

// The operator whose result is the first output; "" if it is none.
std::string last_operator(const ModelData& model) {
  if (model.graph.outputs.empty()) return "";
  const auto* output = std::get_if<ValueId>(&model.graph.outputs[0].value);
  if (output == nullptr) return "";
  for (const Node& node : model.graph.nodes) {
    for (const Result& result : node.results) {
      if (std::ranges::find(result.values, *output) != result.values.end()) return node.target;
    }
  }
  return "";
}

struct FittingLoss {
  std::string name;
  std::string target;  // what the target is
};

FittingLoss fitting_loss(const ModelData& model, ModuleId output) {
  const std::string last = last_operator(model);
  if (last.find("log_softmax") != std::string::npos) return {"nll", "int64 class numbers"};
  std::int64_t width = 0;
  if (output != kNoModule) {
    for (const ModelTensor& tensor : model.tensors) {
      const auto name = tensor.name_in(model.tree.at(output).path);
      if (name == "weight") width = tensor.tensor.size(0);
    }
  }
  if (width > 1) return {"cross_entropy", "int64 class numbers; -100 counts for nothing"};
  return {"mse", "float32 numbers of the output's shape"};
}

void write_targets(std::ostringstream& out, const ModelData& model, ModuleId output,
                   const std::vector<AdaptableName>& names) {
  out << "# What target_modules may name (a name means every module that ends so):\n";
  bool has_linear = false;
  std::vector<std::string> listed;
  for (const AdaptableName& each : names) {
    out << "#   " << each.name << "  " << each.type;
    if (each.count > 1) out << ", " << each.count << " of them";
    out << "\n";
    has_linear = has_linear || each.type == "torch.nn.Linear";
    if (std::ranges::count(listed, in_toml(each.name)) == 0) listed.push_back(in_toml(each.name));
  }
  if (has_linear) {
    out << "target_modules = \"all-linear\"  # every Linear but the output layer, or a list\n";
  } else {
    out << "target_modules = [" << join(listed)
        << "]\nskip_unsupported = true  # others of these names\n";
  }
  if (output != kNoModule) {
    const std::string name = name_in_config(model.tree.at(output).path);
    out << "# modules_to_save = [" << in_toml(name) << "]  # the output layer, trained whole\n";
  }
}

void write_data(std::ostringstream& out, const ModelData& model, const FittingLoss& loss) {
  if (takes_images(model)) {
    out << "# A folder of images with a folder for each class, or safetensors (.npz, .csv) that "
           "hold:\n";
  } else {
    out << "# Safetensors (.npz, .csv) that hold, with their rows in the first dimension:\n";
  }
  for (const InputSpec& input : model.inputs) {
    out << "#   " << (input.argument_name.empty() ? input.name : input.argument_name);
    if (input.checked) out << "  " << c10::toString(input.dtype) << " " << input_sizes(input);
    out << "\n";
  }
  out << "#   labels  " << loss.target << "\n"
      << "train = \"train.safetensors\"\n"
      << "# eval = \"eval.safetensors\"\n";
}

}  // namespace

std::string first_config(const ModelData& model, const std::filesystem::path& program,
                         const FirstKeys& keys,
                         const std::function<bool(const std::string&)>& is_supported) {
  const ModuleId output = output_layer(model);
  const std::vector<AdaptableName> names = adaptable_names(model, output, is_supported);
  if (names.empty()) {
    throw Error({.stage = Stage::kInjection,
                 .message = "no layer of this model is of a type that a plugin adapts",
                 .hint = "`tenon tree` lists its modules, `tenon plugins` what plugins adapt",
                 .location = program.string()});
  }
  const FittingLoss loss = fitting_loss(model, output);
  std::ostringstream out;
  out << "# A first config. `tenon plan` shows what this file would adapt, `tenon run` trains it.\n"
         "\n[model]\npath = "
      << in_toml(program.string()) << "\n\n[adapter]\nmethod = \"" << keys.method << "\"\n"
      << keys.rank << " = 8\n"
      << keys.alpha << " = 16\n";
  write_targets(out, model, output, names);
  out << "\n[data]\n";
  write_data(out, model, loss);
  out << "\n[train]\nloss = \"" << loss.name
      << "\"\noptimizer = \"adamw\"\nlearning_rate = 1e-3\nepochs = 3\nbatch_size = 16\n"
         "\n[output]\ndirectory = \"adapter\"\n";
  return out.str();
}

}  // namespace tenon
