#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/adapter_config.h"
#include "inject/method_config.h"
#include "inject/name_patterns.h"
#include "inject/recorded_layer.h"
#include "plugin/layer_type.h"
#include "plugin/option_completion.h"

namespace tenon {

// What the layers of one adapter see as their options: the method's keys for each layer, and the
// layer type's own options from [adapter.options] or from a saved adapter's record.
class LayerOptions {
 public:
  LayerOptions(const MethodConfig& method, const std::vector<std::string>& targeted)
      : config_(method.config),
        keys_(method, targeted),
        ranks_("rank_pattern", config_.rank_pattern),
        alphas_("alpha_pattern", config_.alpha_pattern) {}

  // The method's keys, PEFT's patterns applied.
  OptionTable method_keys(const std::string& path) const;
  // For a module whose `parameters` are adapted one by one, by whose names PEFT looks its patterns
  // up: the keys of the first, and beside them what each has of its own, "up.r" and
  // "up.lora_alpha".
  OptionTable parameter_keys(const std::string& module,
                             const std::vector<std::string>& parameters) const;
  // Of LoRA's variants that the config asks for, one that a layer type has not looked at and so
  // does not have: "use_dora"; "" if there is none.
  std::string ignored(const std::set<std::string>& asked) const;
  // Complete and checked; what is wrong with the config's is kept for throw_problems.
  const OptionTable& own(const LayerType& layer_type);
  // Throws Error{kInjection} if the record's options are not the layer type's, or not the config's.
  OptionTable recorded(const LayerType& layer_type, const RecordedLayer& record);
  // Throws Error{kConfig} with every option that does not fit, and those that no layer type has.
  void throw_problems() const;

 private:
  AdapterConfig config_;
  LayerKeys keys_;
  NamePatterns<std::int64_t> ranks_;
  NamePatterns<double> alphas_;
  std::map<const LayerType*, OptionTable> own_;
  std::vector<OptionProblem> problems_;
};

// The r or lora_alpha of one parameter: its own if the options of its layer have that, else the
// layer's.
const OptionValue& rank_option(const OptionTable& options, const std::string& parameter,
                               const std::string& key);

// The first of the layer's parameters whose own r or lora_alpha is another than the layer's, and is
// not among the keys that were `asked` for; "" if there is none.
std::string own_rank(const LayerFacts& facts, const OptionTable& options,
                     const std::set<std::string>& asked = {});

}  // namespace tenon
