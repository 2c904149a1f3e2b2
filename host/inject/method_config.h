#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/adapter_config.h"
#include "plugin/method.h"

namespace tenon {

// An adapter's config once its method is known.
struct MethodConfig {
  AdapterConfig config;  // method and peft_type set, method_keys complete
  const Method* method = nullptr;
};

// Finds the method by its name or by PEFT's peft_type, and checks and completes its keys. Throws
// Error{kConfig} or, for an adapter's own file, Error{kAdapter}, with every problem at its place.
MethodConfig with_method(AdapterConfig config, const MethodTable& methods);

// The method's keys as the layer at `path` sees them: rules over modules become true or false.
class LayerKeys {
 public:
  // `targeted`: the layers of the adapter. Throws Error{kInjection} for a rule's entry that means
  // none of them.
  LayerKeys(const MethodConfig& method, const std::vector<std::string>& targeted);
  OptionTable at(const std::string& path) const;

 private:
  OptionTable keys_;
  std::map<std::string, std::vector<std::string>> meant_;  // by key: the layers that a rule means
};

}  // namespace tenon
