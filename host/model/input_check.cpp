#include "model/input_check.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "base/error.h"
#include "base/suggest.h"

namespace tenon {
namespace {

std::string dimension_name(std::int64_t dimension, const std::string& input) {
  return "dimension " + std::to_string(dimension) + " of `" + input + "`";
}

bool same_name(const std::string& one, const std::string& other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  });
}

class InputChecker {
 public:
  InputChecker(const std::vector<InputSpec>& specs, const std::vector<at::Tensor>& inputs)
      : specs_(specs), inputs_(inputs) {}

  std::vector<std::string> check(const std::vector<SizeExpression>& guards) {
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      if (specs_[i].checked) check_input(specs_[i], inputs_[i]);
    }
    if (!problems_.empty()) return problems_;
    for (std::size_t i = 0; i < specs_.size(); ++i) check_derived(specs_[i], inputs_[i]);
    if (!problems_.empty()) return problems_;
    for (const SizeExpression& guard : guards) check_guard(guard);
    return problems_;
  }

 private:
  struct SymbolUse {
    std::int64_t size;
    std::string where;
  };

  void check_input(const InputSpec& spec, const at::Tensor& input) {
    if (input.scalar_type() != spec.dtype) {
      problems_.push_back("`" + spec.name + "` is " + c10::toString(input.scalar_type()) +
                          ", the model takes " + c10::toString(spec.dtype));
    }
    if (input.dim() != static_cast<std::int64_t>(spec.dimensions.size())) {
      problems_.push_back("`" + spec.name + "` has " + std::to_string(input.dim()) +
                          " dimensions, the model takes " + std::to_string(spec.dimensions.size()));
      return;
    }
    for (std::int64_t d = 0; d < input.dim(); ++d) {
      const DimensionSpec& wanted = spec.dimensions[static_cast<std::size_t>(d)];
      if (wanted.fixed < 0) {
        check_size(wanted, input.size(d), dimension_name(d, spec.name));
      } else if (input.size(d) != wanted.fixed) {
        problems_.push_back(fixed_size_text(spec, static_cast<std::size_t>(d), input.size(d)));
      }
    }
  }

  void check_size(const DimensionSpec& wanted, std::int64_t size, const std::string& where) {
    if (size < wanted.minimum || (wanted.maximum >= 0 && size > wanted.maximum)) {
      problems_.push_back(where + " is " + std::to_string(size) + "; the model was exported for " +
                          std::to_string(wanted.minimum) + " to " +
                          (wanted.maximum >= 0 ? std::to_string(wanted.maximum) : "any number"));
    }
    if (wanted.symbol.empty()) return;
    const auto [first, is_new] = symbols_.emplace(wanted.symbol, SymbolUse{size, where});
    if (!is_new && first->second.size != size) {
      problems_.push_back(where + " is " + std::to_string(size) + ", but must equal " +
                          first->second.where + ", which is " + std::to_string(first->second.size));
    }
  }

  void check_derived(const InputSpec& spec, const at::Tensor& input) {
    if (!spec.checked) return;
    for (std::int64_t d = 0; d < input.dim(); ++d) {
      const auto& derived = spec.dimensions[static_cast<std::size_t>(d)].derived;
      if (derived == nullptr) continue;
      const auto wanted =
          derived->evaluate([&](const auto& variable) { return size_of(variable); });
      if (!wanted || static_cast<double>(input.size(d)) == *wanted) continue;
      problems_.push_back(dimension_name(d, spec.name) + " is " + std::to_string(input.size(d)) +
                          ", but must be " + text(*derived) + ", which is " +
                          std::to_string(static_cast<std::int64_t>(*wanted)));
    }
  }

  // A condition on what is no input here (a module's own buffer) has no value and is left alone: it
  // held when the model was exported, and holds.
  void check_guard(const SizeExpression& guard) {
    const auto value = guard.evaluate([&](const auto& variable) { return size_of(variable); });
    if (!value || *value != 0) return;
    std::string problem = "the model was exported for inputs with " + text(guard);
    std::string sizes;
    for (const SizeExpression::Variable& variable : guard.variables()) {
      const std::string size = name_of(variable) + " is " + std::to_string(*size_of(variable));
      if (sizes.find(size) == std::string::npos) sizes += (sizes.empty() ? "; " : ", ") + size;
    }
    problems_.push_back(problem + sizes);
  }

  std::optional<std::size_t> find_input(const std::string& name) const {
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      if (same_name(specs_[i].name, name) || specs_[i].argument_name == name) return i;
    }
    return std::nullopt;
  }

  std::optional<std::int64_t> size_of(const SizeExpression::Variable& variable) const {
    const auto input = find_input(variable.name);
    if (variable.dimension < 0) {
      if (input && is_number(*input)) return inputs_[*input].item().toLong();
      const auto symbol = symbols_.find(variable.name);
      if (symbol == symbols_.end()) return std::nullopt;
      return symbol->second.size;
    }
    if (!input || variable.dimension >= inputs_[*input].dim()) return std::nullopt;
    return inputs_[*input].size(variable.dimension);
  }

  bool is_number(std::size_t input) const {
    return inputs_[input].dim() == 0 &&
           c10::isIntegralType(inputs_[input].scalar_type(), /*includeBool=*/false);
  }

  std::string name_of(const SizeExpression::Variable& variable) const {
    if (variable.dimension >= 0) {
      const auto input = find_input(variable.name);
      return dimension_name(variable.dimension, input ? specs_[*input].name : variable.name);
    }
    const auto symbol = symbols_.find(variable.name);
    return symbol == symbols_.end() ? "`" + variable.name + "`" : symbol->second.where;
  }

  std::string text(const SizeExpression& expression) const {
    return expression.text([&](const auto& variable) { return name_of(variable); });
  }

  const std::vector<InputSpec>& specs_;
  const std::vector<at::Tensor>& inputs_;
  std::map<std::string, SymbolUse> symbols_;
  std::vector<std::string> problems_;
};

}  // namespace

std::string fixed_size_text(const InputSpec& input, std::size_t dimension, std::int64_t size) {
  const DimensionSpec& wanted = input.dimensions[dimension];
  return dimension_name(static_cast<std::int64_t>(dimension), input.name) + " was fixed to " +
         std::to_string(wanted.fixed) + " when this model was exported, and is " +
         std::to_string(size) +
         "; export it with a dynamic dimension, where the exporter can: it fixes the length of "
         "LSTM, "
         "GRU and RNN layers, and the width of most";
}

std::string dynamic_sizes(const std::vector<InputSpec>& specs,
                          const std::vector<at::Tensor>& inputs) {
  std::vector<std::string> sizes;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (!specs[i].checked) continue;
    for (std::size_t d = 0; d < specs[i].dimensions.size(); ++d) {
      if (specs[i].dimensions[d].fixed >= 0) continue;
      const auto dimension = static_cast<std::int64_t>(d);
      sizes.push_back(dimension_name(dimension, specs[i].name) + " is " +
                      std::to_string(inputs[i].size(dimension)));
    }
  }
  return join(sizes);
}

void check_inputs(const std::vector<InputSpec>& specs, const std::vector<at::Tensor>& inputs,
                  const std::vector<SizeExpression>& guards) {
  std::vector<std::string> problems;
  if (specs.size() == inputs.size()) {
    problems = InputChecker(specs, inputs).check(guards);
  } else {
    problems.push_back("the model takes " + std::to_string(specs.size()) + " inputs, not " +
                       std::to_string(inputs.size()));
  }
  if (problems.empty()) return;
  throw Error({.stage = Stage::kModel,
               .message = "the input does not fit the model: " + join(problems, "\n  - ")});
}

}  // namespace tenon
