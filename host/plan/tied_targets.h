#pragma once

#include <map>
#include <string>
#include <vector>

#include "plan/injection_plan.h"
#include "plan/method_config.h"
#include "targets/target_matcher.h"

// ensure_weight_tying for layers that adapters are put on (PEFT: _add_targets_to_tie):
// where one of several layers that share a weight is a target, all are, and all train one pair of
// factors. An Embedding's W is (rows, size) and changes by s (B A)^T, a Linear's W is (out, in) and
// changes by s B A, so that across the two A is the other's B^T and B the other's A^T.
namespace tenon {

struct TiedTargets {
  AdapterConfig config;                       // its target_modules name the tied layers too
  std::map<std::string, std::string> owners;  // by path of each tied layer: whose factors it has
  std::vector<std::string> notes;
  std::vector<std::string> problems;
};

// Which layers are tied. Of a saved adapter those whose tensors are: PEFT trains the two apart if
// the base is of half precision, and they are adapters of their own then. Throws as match_targets.
TiedTargets tie_targets(const ModelData& model, const MethodConfig& method,
                        const std::vector<std::string>& paths);

// Ties the parameters of the planned layers and moves tied layers behind all others, as PEFT places
// them. What cannot be tied goes to `problems`.
void tie_parameters(const TiedTargets& tied, const ModuleTree& tree, InjectionPlan& plan,
                    std::vector<std::string>& problems);

}  // namespace tenon
