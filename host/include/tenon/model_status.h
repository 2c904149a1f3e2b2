// What is on a model: the adapters of each layer. Included by <tenon/adapt.h>.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tenon {

// Whether the parameters of one adapter are trained: all, none, or only some.
enum class Trained { kNone, kAll, kSome };

// One layer or saved module that adapters are on (PEFT: TunerLayerStatus). Adapters are in the
// order they were added, active and merged ones in the order they are summed.
struct LayerStatus {
  std::string name;
  std::string type;    // public: "torch.nn.Linear"
  std::string plugin;  // "" for a module that is saved whole
  bool enabled = true;
  std::vector<std::string> active;
  std::vector<std::string> merged;
  std::vector<std::string> available;
  std::map<std::string, Trained> trained;                   // by adapter
  std::map<std::string, std::vector<std::string>> dtypes;   // by adapter: "float32"
  std::map<std::string, std::vector<std::string>> devices;  // by adapter: "cpu"
};

// The whole (PEFT: TunerModelStatus). Nothing of it can be irregular: adapters are switched for all
// layers at once.
struct ModelStatus {
  std::string base_type;                          // the root's
  std::map<std::string, std::string> peft_types;  // by adapter: "LORA"
  std::int64_t trainable_params = 0;
  std::int64_t total_params = 0;
  bool enabled = true;
  std::vector<std::string> active;
  std::vector<std::string> merged;
  std::vector<std::string> available;
  std::map<std::string, Trained> trained;
  std::vector<LayerStatus> layers;  // in model order
};

}  // namespace tenon
