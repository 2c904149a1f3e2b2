#include "model/input_check.h"

#include <map>

#include "base/error.h"
#include "base/suggest.h"

namespace tenon {
namespace {

struct SymbolUse {
  std::int64_t size;
  std::string where;
};

std::string dimension_name(std::size_t dimension, const std::string& input) {
  return "dimension " + std::to_string(dimension) + " of `" + input + "`";
}

void check_dimensions(const InputSpec& spec, const at::Tensor& input,
                      std::map<std::string, SymbolUse>& symbols,
                      std::vector<std::string>& problems) {
  for (std::size_t d = 0; d < spec.dimensions.size(); ++d) {
    const DimensionSpec& wanted = spec.dimensions[d];
    const std::int64_t size = input.size(static_cast<std::int64_t>(d));
    const std::string where = dimension_name(d, spec.name);
    if (wanted.fixed >= 0) {
      if (size != wanted.fixed) {
        problems.push_back(where + " was fixed to " + std::to_string(wanted.fixed) +
                           " when this model was exported, and is " + std::to_string(size) +
                           "; export it with a dynamic dimension");
      }
      continue;
    }
    if (size < wanted.minimum || (wanted.maximum >= 0 && size > wanted.maximum)) {
      problems.push_back(where + " is " + std::to_string(size) + "; the model was exported for " +
                         std::to_string(wanted.minimum) + " to " +
                         (wanted.maximum >= 0 ? std::to_string(wanted.maximum) : "any number"));
    }
    if (wanted.symbol.empty()) continue;
    const auto [first, is_new] = symbols.emplace(wanted.symbol, SymbolUse{size, where});
    if (!is_new && first->second.size != size) {
      problems.push_back(where + " is " + std::to_string(size) + ", but must equal " +
                         first->second.where + ", which is " + std::to_string(first->second.size));
    }
  }
}

}  // namespace

void check_inputs(const std::vector<InputSpec>& specs, const std::vector<at::Tensor>& inputs) {
  std::vector<std::string> problems;
  if (specs.size() != inputs.size()) {
    problems.push_back("the model takes " + std::to_string(specs.size()) + " inputs, not " +
                       std::to_string(inputs.size()));
  }
  std::map<std::string, SymbolUse> symbols;
  for (std::size_t i = 0; i < std::min(specs.size(), inputs.size()); ++i) {
    const InputSpec& spec = specs[i];
    if (!spec.checked) continue;
    if (inputs[i].scalar_type() != spec.dtype) {
      problems.push_back("`" + spec.name + "` is " + c10::toString(inputs[i].scalar_type()) +
                         ", the model takes " + c10::toString(spec.dtype));
    }
    if (inputs[i].dim() != static_cast<std::int64_t>(spec.dimensions.size())) {
      problems.push_back("`" + spec.name + "` has " + std::to_string(inputs[i].dim()) +
                         " dimensions, the model takes " + std::to_string(spec.dimensions.size()));
      continue;
    }
    check_dimensions(spec, inputs[i], symbols, problems);
  }
  if (problems.empty()) return;
  throw Error({.stage = Stage::kModel,
               .message = "the input does not fit the model: " + join(problems, "\n  - ")});
}

}  // namespace tenon
