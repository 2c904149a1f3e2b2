#pragma once

#include <tenon/draft/data_start.h>
#include <tenon/draft/keys.h>
#include <tenon/draft/training.h>
#include <tenon/method.h>

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "plugin/declared_options.h"
#include "plugin/factors.h"
#include "plugin/handles.h"
#include "plugin/option_completion.h"

namespace tenon {

struct PluginInfo;

// One method of a loaded plugin.
class Method {
 public:
  Method(const tenon_method& table, const PluginInfo& plugin);

  std::string name() const { return table_.name; }
  // PEFT's name; where PEFT has none, the method's in upper case, which PEFT refuses.
  std::string peft_type() const;
  bool is_in_peft() const { return table_.peft_type != nullptr; }
  std::string doc() const { return table_.doc != nullptr ? table_.doc : ""; }
  std::uint32_t max_active() const { return table_.max_active; }  // 0: any number
  bool excludes_in_peft() const { return (table_.flags & TENON_METHOD_EXCLUDES) != 0; }
  bool layers_in_peft() const { return (table_.flags & TENON_METHOD_LAYERS) != 0; }
  bool trains_biases() const { return (table_.flags & TENON_METHOD_BIASES) != 0; }
  bool parameters_in_peft() const { return (table_.flags & TENON_METHOD_PARAMETERS) != 0; }
  bool trains_tokens() const { return (table_.flags & TENON_METHOD_TOKENS) != 0; }
  bool ties_weights() const { return (table_.flags & TENON_METHOD_TIES) != 0; }
  const std::vector<DeclaredOption>& keys() const { return keys_; }
  // The keys of an adapter, all of them, held to the declarations and the method's own rules; what
  // does not fit is added to `problems`. `saved`: they are those of a saved adapter. Throws
  // Error{kPlugins} where the plugin fails.
  OptionTable settled(const OptionTable& given, bool saved,
                      std::vector<OptionProblem>& problems) const;
  const PluginInfo& plugin() const { return *plugin_; }

  // What it adapts where target_modules is left out; empty: it must be given.
  const DefaultTargets& default_targets() const { return targets_; }
  // The pairs that its adapters consist of; nullptr: they are something else.
  const Factors* factors() const { return factors_ ? &*factors_ : nullptr; }
  // What it does in training beside the optimizer; nullptr: nothing.
  const tenon_training* training() const { return training_; }
  // How its adapters start from data; nullptr: they never do.
  const tenon_data_start* data_start() const { return data_start_; }
  // What an adapter of these keys, all of them, asks for. Throws Error{kPlugins} where the plugin
  // fails.
  tenon_data_needs data_needs(const OptionTable& keys) const;
  const tenon_method* self() const { return self_; }  // the plugin's own table

  bool scales() const { return table_.scaling != nullptr; }
  // 1 for a method that does not scale. Throws Error{kInjection}.
  double scaling(const LayerFacts& base, const tenon_setup& setup) const;

 private:
  [[noreturn]] void fail(const std::string& function, const tenon_error& error) const;

  const tenon_method* self_;  // the plugin's own
  tenon_method table_;        // what this host knows of it
  const PluginInfo* plugin_;
  std::vector<DeclaredOption> keys_;
  const tenon_training* training_ = nullptr;
  const tenon_data_start* data_start_ = nullptr;
  DefaultTargets targets_;
  std::optional<Factors> factors_;
  const tenon_keys_rules* rules_ = nullptr;
};

// The methods that a run knows, by name. Of several of one name, the plugin of the higher place
// gives it, and is loaded when its method is asked for. Borrows the plugins.
class MethodTable {
 public:
  // Loads a plugin that was only found until now; false if it is refused.
  using Loader = std::function<bool(PluginInfo&)>;

  // `plugins` in the order of their places.
  MethodTable(std::list<PluginInfo>& plugins, Loader load);

  // nullptr if there is none. Throw Error{kPlugins} if two plugins of one place offer it.
  const Method* find(const std::string& name) const;
  const Method* find_peft_type(const std::string& peft_type) const;
  // The one that adapters of other methods are converted to; nullptr: there is none.
  const Method* find_general() const;
  // The one that the config names, or whose adapter it is.
  const Method* of(const AdapterConfig& config) const;
  std::vector<std::string> ties() const;
  std::vector<std::string> names() const;  // sorted

 private:
  struct Entry {
    std::string name;
    std::string peft_type;
    PluginInfo* plugin;
    std::string tie = {};  // why it cannot be told whose it is; "" if it can
  };
  const Method* loaded(const Entry& entry) const;

  std::vector<Entry> entries_;  // by name
  Loader load_;
};

}  // namespace tenon
