#pragma once

#include <tenon/method.h>
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

// What the tensors of a saved adapter say of layers that share a weight (ensure_weight_tying):
// which layers it is on, and pairs of them with the same low-rank factors, in both orders.
struct SavedTies {
  std::set<std::string> layers;
  std::set<std::pair<std::string, std::string>> pairs;
};

// One adapter, in PEFT's own names; read from TOML ([adapter]) and from adapter_config.json.
struct AdapterConfig {
  std::string name = "default";
  std::string method = TENON_DEFAULT_METHOD;  // "" while only peft_type is known
  std::string peft_type = {};  // PEFT's name of the method; "" until the method is known

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

  std::string bias = "none";  // "all"; "<method>_only": those of the adapted layers
  std::vector<TokenRows> trainable_tokens = {};  // trainable_token_indices
  bool ensure_weight_tying = false;
  std::optional<SavedTies> saved_ties = {};  // of a saved adapter with ensure_weight_tying
  bool autocast_adapter_dtype = true;  // adapters of a half-precision base are kept in float32

  OptionTable method_keys = {};       // what a plugin's method declares, by key
  std::set<std::string> writes = {};  // those of the host's own keys that PEFT's config of it has
  OptionTable options = {};           // a layer type's own
  std::map<std::string, Place> key_places = {};     // where a config has each of method_keys
  std::map<std::string, Place> option_places = {};  // and each of options
  bool allow_unmatched = false;  // a list entry that matches nothing is then only a warning
  // Keys read from a saved adapter: what they name need not all be there, since the tensors tell
  // what was adapted. PEFT lists both "classifier" and "score" for sequence classification.
  std::set<std::string> optional_keys = {};
  bool is_saved = false;          // read from an adapter's own file
  bool skip_unsupported = false;  // layers that no plugin supports are left out and listed
  std::optional<std::filesystem::path> init_from = {};  // an adapter folder to start from
  bool active = true;     // of several: whether it runs, summed with the others
  bool trainable = true;  // of several: whether it is trained

  std::set<std::string> explicit_keys =
      {};                     // keys that the file had, to tell a default from a wish
  std::string location = {};  // "mlp.toml:12:1" or the json file, for messages
};

}  // namespace tenon
