#include "adapter/foreign_adapter.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/safetensors.h"
#include "base/suggest.h"
#include "model/tensor_file.h"
#include "plan/exact_targets.h"
#include "plan/factor_keys.h"
#include "plan/method_config.h"
#include "targets/name_patterns.h"

namespace tenon {
namespace {

constexpr const char* kKohya = "kohya";
constexpr const char* kDiffusers = "diffusers";

// What stands behind a layer's name, and which factor that is.
struct Ending {
  std::string_view text;
  char factor;  // 'A', 'B', or 'a' for alpha
};
constexpr std::array<Ending, 12> kEndings{{{".lora_down.weight", 'A'},
                                           {".lora_up.weight", 'B'},
                                           {".lora_A.weight", 'A'},
                                           {".lora_B.weight", 'B'},
                                           {".lora.down.weight", 'A'},
                                           {".lora.up.weight", 'B'},
                                           {".lora_linear_layer.down.weight", 'A'},
                                           {".lora_linear_layer.up.weight", 'B'},
                                           {"_lora.down.weight", 'A'},
                                           {"_lora.up.weight", 'B'},
                                           {".alpha", 'a'},
                                           {".lora_alpha", 'a'}}};

// Longer ones first.
constexpr std::array<std::string_view, 8> kKohyaParts{
    "lora_prior_unet_", "lora_transformer_", "lora_unet_", "lora_te1_",
    "lora_te2_",        "lora_te3_",         "lora_te_",   "lora_prior_te_"};
constexpr std::array<std::string_view, 9> kDiffusersParts{
    "unet.",           "transformer.", "transformer_2.", "text_encoder.",   "text_encoder_2.",
    "text_encoder_3.", "prior.",       "controlnet.",    "diffusion_model."};

template <std::size_t N>
std::string_view part_of(const std::array<std::string_view, N>& parts, std::string_view name) {
  const auto found =
      std::ranges::find_if(parts, [&](std::string_view part) { return name.starts_with(part); });
  return found == parts.end() ? std::string_view() : *found;
}

std::string_view part_of(const std::string& from, std::string_view name) {
  return from == kKohya ? part_of(kKohyaParts, name) : part_of(kDiffusersParts, name);
}

struct ForeignPair {
  at::Tensor a;
  at::Tensor b;
  std::optional<double> alpha;
};

[[noreturn]] void fail_foreign(const std::filesystem::path& file,
                               const std::vector<std::string>& problems, const std::string& hint) {
  constexpr std::size_t kShown = 12;
  std::vector<std::string> shown = problems;
  if (shown.size() > kShown) {
    shown.resize(kShown);
    shown.push_back("and " + std::to_string(problems.size() - kShown) + " more");
  }
  throw Error({.stage = Stage::kAdapter,
               .message = "this file cannot be converted:\n  " + join(shown, "\n  "),
               .hint = hint,
               .location = file.string()});
}

// diffusers' older names: `attn1.processor.to_q` for attn1.to_q, to_out for to_out.0.
std::string without_processor(std::string name) {
  constexpr std::string_view kProcessor = ".processor.";
  const std::size_t at = name.rfind(kProcessor);
  if (at == std::string::npos) return name;
  name.replace(at, kProcessor.size(), ".");
  return name.ends_with(".to_out") ? name + ".0" : name;
}

std::map<std::string, ForeignPair> sort_pairs(const NamedTensors& tensors,
                                              std::vector<std::string>& problems) {
  std::map<std::string, ForeignPair> pairs;
  for (const auto& [name, tensor] : tensors) {
    const auto ending = std::ranges::find_if(
        kEndings, [&](const Ending& one) { return std::string_view(name).ends_with(one.text); });
    if (ending == kEndings.end()) {
      problems.push_back("`" + name + "` is no factor of LoRA and no alpha");
      continue;
    }
    ForeignPair& pair = pairs[without_processor(name.substr(0, name.size() - ending->text.size()))];
    if (ending->factor == 'A') pair.a = tensor;
    if (ending->factor == 'B') pair.b = tensor;
    if (ending->factor == 'a') pair.alpha = tensor.to(at::kDouble).item<double>();
  }
  for (const auto& [name, pair] : pairs) {
    if (!pair.a.defined() || !pair.b.defined()) {
      problems.push_back("`" + name + "` has one factor of two");
    } else if (pair.a.dim() < 2 || pair.b.dim() < 2 || pair.a.size(0) != pair.b.size(1)) {
      problems.push_back("`" + name + "` has factors that do not multiply");
    }
  }
  return pairs;
}

// The modules that a foreign name may mean, in the words of `from`.
class PathsByName {
 public:
  PathsByName(const ModelData& model, const std::string& from) {
    for (const Module& module : model.tree.modules) {
      if (module.path.empty()) continue;
      std::string name = module.path;
      if (from == kKohya) std::ranges::replace(name, '.', '_');
      names_.emplace_back(std::move(name), module.path);
    }
    separator_ = from == kKohya ? '_' : '.';
  }

  // The whole name, else what stands behind a module that the export put around the model.
  std::vector<std::string> find(const std::string& name) const {
    std::vector<std::string> whole;
    std::vector<std::string> inner;
    for (const auto& [known, path] : names_) {
      if (known == name) whole.push_back(path);
      if (known.ends_with(separator_ + name)) inner.push_back(path);
    }
    return whole.empty() ? inner : whole;
  }

 private:
  std::vector<std::pair<std::string, std::string>> names_;
  char separator_ = '.';
};

const at::Tensor* weight_of(const ModelData& model, const std::string& path) {
  for (const ModelTensor& tensor : model.tensors) {
    if (tensor.name_in(path) == "weight") return &tensor.tensor;
  }
  return nullptr;
}

// A Linear's factors as those of a convolution over single points, or the other way round.
at::Tensor as_wide_as(const at::Tensor& factor, const at::Tensor* weight) {
  if (weight == nullptr || weight->dim() == factor.dim()) return factor;
  if (weight->dim() == 2 && factor.numel() == factor.size(0) * factor.size(1)) {
    return factor.flatten(1);
  }
  std::vector<std::int64_t> sizes = factor.sizes().vec();
  sizes.resize(static_cast<std::size_t>(weight->dim()), 1);
  return factor.dim() == 2 ? factor.reshape(sizes) : factor;
}

template <class T>
T most_frequent(const std::vector<T>& values) {
  return *std::ranges::max_element(
      values, {}, [&](const T& value) { return std::ranges::count(values, value); });
}

// What diffusers writes of the adapter's config beside the tensors.
struct Metadata {
  std::map<std::string, double> alphas;  // by part, "unet."
  bool use_rslora = false;
};

Metadata read_metadata(const std::filesystem::path& file) {
  const SafetensorsFile opened(file, Stage::kAdapter);
  Metadata metadata;
  const auto text = opened.metadata().find("lora_adapter_metadata");
  if (text == opened.metadata().end()) return metadata;
  const OrderedJson json = parse_ordered_json(text->second, {.stage = Stage::kAdapter,
                                                             .message = "its lora_adapter_metadata",
                                                             .location = file.string()});
  std::vector<std::string> problems;
  for (const auto& [key, value] : json.items()) {
    const std::string part(part_of(kDiffusersParts, key));
    const std::string name = key.substr(part.size());
    if (name == "lora_alpha" && value.is_number()) metadata.alphas[part] = value.get<double>();
    if (name == "use_rslora" && value == true) metadata.use_rslora = true;
    const bool is_on =
        (value.is_boolean() && value == true) || (value.is_object() && !value.empty());
    if (is_on && (name == "use_dora" || name == "lora_bias" || name == "alpha_pattern")) {
      problems.push_back("its `" + key + "` is " + json_excerpt(value));
    }
  }
  if (!problems.empty()) fail_foreign(file, problems, "save the adapter with PEFT instead");
  return metadata;
}

struct Found {
  std::string path;
  ForeignPair pair;
};

// The pairs by module. Parts of a pipeline of which this model has nothing are left out, and told.
std::vector<Found> find_layers(const ModelData& model, const std::string& from,
                               const std::map<std::string, ForeignPair>& pairs,
                               const Metadata& metadata, std::vector<std::string>& problems) {
  const PathsByName names(model, from);
  std::vector<Found> layers;
  std::map<std::string, std::vector<std::string>> missing;  // by part
  std::set<std::string> found_parts;
  for (const auto& [name, pair] : pairs) {
    const std::string part(part_of(from, name));
    const std::vector<std::string> paths = names.find(name.substr(part.size()));
    if (paths.size() > 1) {
      problems.push_back("`" + name + "` may be " + join(paths, " or "));
    } else if (paths.empty()) {
      missing[part].push_back("`" + name + "` names no module of the model");
    } else {
      found_parts.insert(part);
      layers.push_back({paths.front(), pair});
      const auto alpha = metadata.alphas.find(part);
      if (!pair.alpha && alpha != metadata.alphas.end()) layers.back().pair.alpha = alpha->second;
    }
  }
  for (const auto& [part, names_missing] : missing) {
    if (!found_parts.empty() && !found_parts.contains(part)) {
      log::warning("left out " + std::to_string(names_missing.size()) + " layers of `" + part +
                   "`: this model has none of them");
    } else {
      problems.insert(problems.end(), names_missing.begin(), names_missing.end());
    }
  }
  return layers;
}

}  // namespace

std::string foreign_names(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (!part_of(kKohyaParts, name).empty()) return kKohya;
    const bool has_ending = std::ranges::any_of(
        kEndings, [&](const Ending& ending) { return name.ends_with(ending.text); });
    if (has_ending && !part_of(kDiffusersParts, name).empty()) return kDiffusers;
  }
  return "";
}

AdapterFiles read_foreign_adapter(const ModelData& model, const MethodTable& methods,
                                  const std::filesystem::path& file, const std::string& from) {
  std::vector<std::string> problems;
  const std::map<std::string, ForeignPair> pairs =
      sort_pairs(read_tensor_file(file, Stage::kAdapter), problems);
  const Metadata metadata = read_metadata(file);
  std::vector<Found> layers;
  if (problems.empty()) layers = find_layers(model, from, pairs, metadata, problems);
  if (problems.empty() && layers.empty()) problems.emplace_back("it holds no layer");
  if (!problems.empty()) {
    fail_foreign(file, problems,
                 "is this the model that it was trained on, exported by the names that " + from +
                     " knows? `tenon tree` lists them");
  }
  const Method* method = methods.find_general();
  if (method == nullptr) fail_foreign(file, {"no method is here that it could be read as"}, "");
  const FactorForm& form = method->factors()->form(false);
  AdapterFiles files;
  files.config.method = method->name();
  std::vector<std::string> paths;
  std::vector<std::int64_t> ranks;
  std::vector<double> alphas;
  for (const Found& layer : layers) {
    paths.push_back(layer.path);
    ranks.push_back(layer.pair.a.size(0));
    alphas.push_back(layer.pair.alpha.value_or(static_cast<double>(ranks.back())));
    const at::Tensor* weight = weight_of(model, layer.path);
    const auto add = [&](const std::string& name, const at::Tensor& factor) {
      files.tensors.push_back({layer.path + "." + name, as_wide_as(factor, weight).contiguous()});
    };
    add(form.down, layer.pair.a);
    add(form.up, layer.pair.b);
  }
  files.config.target_modules = exact_targets(model.tree, paths);
  files.config = with_method(std::move(files.config), methods).config;
  FactorKeysEditor keys(*method, files.config.method_keys);
  keys.set_by_root(metadata.use_rslora);
  keys.set_rank(most_frequent(ranks));
  keys.set_alpha(most_frequent(alphas));
  FactorKeys::Patterns<std::int64_t> rank_pattern;
  FactorKeys::Patterns<double> alpha_pattern;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (ranks[i] != keys.rank()) rank_pattern.emplace_back(exact_pattern(paths[i]), ranks[i]);
    if (alphas[i] != keys.alpha()) alpha_pattern.emplace_back(exact_pattern(paths[i]), alphas[i]);
  }
  keys.set_rank_pattern(rank_pattern);
  keys.set_alpha_pattern(alpha_pattern);
  return files;
}

}  // namespace tenon
