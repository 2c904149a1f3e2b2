#pragma once

#include <tenon/options.h>

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "config/problems.h"

namespace tenon {

// Which modules a rule names: nothing, one regular expression over the whole dotted path, or a list
// of full names and dotted suffixes (PEFT: check_target_module_exists).
struct Regex {
  std::string pattern;
  bool operator==(const Regex&) const = default;
};
class ModuleRule : public std::variant<std::monostate, Regex, std::vector<std::string>> {
 public:
  ModuleRule() = default;
  ModuleRule(Regex rule) : variant(std::move(rule)) {}                       // NOLINT
  ModuleRule(std::vector<std::string> names) : variant(std::move(names)) {}  // NOLINT
  ModuleRule(std::initializer_list<std::string> names) : variant(std::vector(names)) {}
  // As in PEFT, one string is an expression, and "all-linear" a word.
  ModuleRule(const char* pattern) : variant(Regex{pattern}) {}             // NOLINT
  ModuleRule(std::string pattern) : variant(Regex{std::move(pattern)}) {}  // NOLINT
};

// What a method adapts in a model of a type where target_modules does not say, by the type.
using DefaultTargets = std::vector<std::pair<std::string, ModuleRule>>;

// Rows of an embedding that are trained as they are (PEFT: trainable_token_indices).
struct TokenRows {
  std::string module;  // its path or a suffix after a dot; "": the model's input embedding
  std::vector<std::int64_t> tokens;
  bool operator==(const TokenRows&) const = default;
};

// How init_lora_weights = "eva" starts an adapter (PEFT: EvaConfig).
struct EvaConfig {
  double rho = 2;     // a layer's rank is at most rho times what the config gives it
  double tau = 0.99;  // singular vectors whose cosine to the last batch's is this have settled
  bool use_label_mask = true;  // leave out positions whose label is label_mask_value
  std::int64_t label_mask_value = -100;
  bool whiten = false;
  bool adjust_scaling_factors = true;  // lora_alpha changes with the rank
  bool operator==(const EvaConfig&) const = default;
};

// How init_lora_weights = "corda" starts an adapter (PEFT: CordaConfig).
struct CordaConfig {
  std::string corda_method = "ipm";  // "ipm": the largest components; "kpm": the smallest
  bool operator==(const CordaConfig&) const = default;
};

// What the tensors of a saved adapter say of layers that share a weight (ensure_weight_tying):
// which layers it is on, and pairs of them with the same low-rank factors, in both orders.
struct SavedTies {
  std::set<std::string> layers;
  std::set<std::pair<std::string, std::string>> pairs;
};

// One adapter, in PEFT's own names; read from TOML ([adapter]) and from adapter_config.json.
struct AdapterConfig {
  std::string name = "default";
  std::string method = "lora";  // "" while only peft_type is known
  std::string peft_type = {};   // PEFT's name of the method; "" until the method is known

  ModuleRule target_modules = {};
  ModuleRule exclude_modules = {};
  std::vector<std::string> target_parameters = {};  // full names or dotted suffixes of parameters
  std::vector<std::string> modules_to_save = {};
  // Full paths of modules that are saved too, for the statistics that training changes in them; or
  // that a saved adapter's modules_to_save means to PEFT and that it did not train.
  std::vector<std::string> statistics_of = {};
  std::set<std::string> not_saved = {};
  std::vector<std::int64_t> layers_to_transform = {};
  std::vector<std::string> layers_pattern = {};

  std::int64_t r = 8;
  double lora_alpha = 8;
  double lora_dropout = 0;
  bool use_rslora = false;
  bool use_dora = false;
  bool lora_bias = false;
  bool fan_in_fan_out = false;                   // on disk only: what PEFT says of its Conv1D
  std::string init_lora_weights = "default";     // see lora_init.h
  EvaConfig eva_config = {};                     // read for "eva" only
  CordaConfig corda_config = {};                 // for "corda" only
  std::string bias = "none";                     // "all", "lora_only": biases of the base to train
  std::vector<TokenRows> trainable_tokens = {};  // trainable_token_indices
  bool ensure_weight_tying = false;
  std::optional<SavedTies> saved_ties = {};  // of a saved adapter with ensure_weight_tying
  bool autocast_adapter_dtype = true;  // adapters of a half-precision base are kept in float32
  // Regular expressions on module paths; the first that matches wins, in the order of the file.
  std::vector<std::pair<std::string, std::int64_t>> rank_pattern = {};
  std::vector<std::pair<std::string, double>> alpha_pattern = {};

  OptionTable method_keys = {};                  // what a plugin's method declares, by key
  bool writes_exclude = false;                   // PEFT's config of that method has exclude_modules
  bool writes_layers = false;                    // and layers_to_transform, layers_pattern
  OptionTable options = {};                      // a layer type's own
  std::map<std::string, Place> key_places = {};  // where a config has each of method_keys
  std::map<std::string, Place> option_places = {};  // and each of options
  bool allow_unmatched = false;  // a list entry that matches nothing is then only a warning
  // Keys read from a saved adapter: what they name need not all be there, since the tensors tell
  // what was adapted. PEFT lists both "classifier" and "score" for sequence classification.
  std::set<std::string> lenient_keys = {};
  bool skip_unsupported = false;  // layers that no plugin supports are left out and listed
  std::optional<std::filesystem::path> init_from = {};  // an adapter folder to start from
  bool active = true;     // of several: whether it runs, summed with the others
  bool trainable = true;  // of several: whether it is trained

  std::set<std::string> given = {};  // keys that the file had, to tell a default from a wish
  std::string location = {};         // "mlp.toml:12:1" or the json file, for messages
};

}  // namespace tenon
