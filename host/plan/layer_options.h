#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/adapter_config.h"
#include "plan/method_config.h"
#include "plan/recorded_layer.h"
#include "plugin/layer_type.h"
#include "plugin/option_completion.h"
#include "targets/name_patterns.h"

namespace tenon {

// What the layers of one adapter see as their options: the method's keys for each layer, and the
// layer type's own options from [adapter.options] or from a saved adapter's record.
class LayerOptions {
 public:
  LayerOptions(const MethodConfig& method, const std::vector<std::string>& targeted)
      : config_(method.config), method_(*method.method), keys_(method, targeted) {}

  // The method's keys, PEFT's patterns applied.
  OptionTable method_keys(const std::string& path) const;
  // For a module whose `parameters` are adapted one by one, by whose names PEFT looks its patterns
  // up: the keys of the first, and beside them what each has of its own, "up.r".
  OptionTable parameter_keys(const std::string& module,
                             const std::vector<std::string>& parameters) const;
  // Of the keys that a layer type must heed where they are set, one that it has not looked at and
  // so does not have; "" if there is none. `keys`: the layer's.
  std::string ignored(const OptionTable& keys, const std::set<std::string>& asked) const;
  // What is idle in a saved adapter's keys.
  const std::vector<std::string>& notes() const { return keys_.notes(); }
  // Complete and checked; what is wrong with the config's is kept for throw_problems.
  const OptionTable& own(const LayerType& layer_type);
  // Throws Error{kInjection} if the record's options are not the layer type's, or not the config's.
  OptionTable recorded(const LayerType& layer_type, const RecordedLayer& record);
  // Throws Error{kConfig} with every option that does not fit, and those that no layer type has.
  void throw_problems() const;

 private:
  AdapterConfig config_;
  const Method& method_;
  LayerKeys keys_;
  std::map<const LayerType*, OptionTable> own_;
  std::vector<OptionProblem> problems_;
};

// A key of one parameter: its own if the options of its layer have that, else the layer's.
const OptionValue& own_option(const OptionTable& options, const std::string& parameter,
                              const std::string& key);

// One of the layer's parameters that has a key of another value than the layer's, which is not
// among the keys that were `asked` for.
struct OwnOption {
  std::string parameter;  // "" if there is none
  std::string key;
};
OwnOption other_than_the_layers(const LayerFacts& facts, const OptionTable& options,
                                const std::set<std::string>& asked = {});

}  // namespace tenon
