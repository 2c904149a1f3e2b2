#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/adapter_config.h"
#include "config/problems.h"
#include "plan/recorded_layer.h"
#include "plugin/method.h"
#include "targets/name_patterns.h"

namespace tenon {

// An adapter's config once its method is known.
struct MethodConfig {
  AdapterConfig config;  // method and peft_type set, method_keys complete
  const Method* method = nullptr;
};

// Finds the method by its name or by PEFT's peft_type, and checks and completes its keys. Throws
// Error{kConfig} or, for an adapter's own file, Error{kAdapter}, with every problem at its place.
// `recorded`: the plugins that made a saved adapter, to be named where the method is missing.
MethodConfig with_method(AdapterConfig config, const MethodTable& methods,
                         const std::vector<RecordedLayer>& recorded = {});

// What with_method would throw of a config file's adapter, beside what was found already.
void find_key_problems(AdapterConfig config, const MethodTable& methods, Problems& problems);

// The method's keys as the layer at `path` sees them: rules over modules become true or false, and
// where a pattern beside a key fits the path, its value stands.
class LayerKeys {
 public:
  // `targeted`: the layers, and the parameters by name, that are adapted. Throws Error{kInjection}
  // for a rule's entry or a pattern that means none of them.
  LayerKeys(const MethodConfig& method, const std::vector<std::string>& targeted);
  OptionTable at(const std::string& path) const;
  // The keys that patterns may set, "r".
  std::vector<std::string> patterned() const;
  // What is idle in a saved adapter's keys.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  OptionTable keys_;
  std::map<std::string, std::vector<std::string>> meant_;  // by key: the layers that a rule means
  std::vector<std::string> notes_;
  std::map<std::string, NamePatterns<OptionValue>> patterns_;  // by the key that they set
};

}  // namespace tenon
