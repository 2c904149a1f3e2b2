#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

// A formula over the sizes of a program's inputs, as the exporter writes it: a guard in Python
// ("L['x'].size()[0] > 5") or a size in sympy's notation ("Mul(Integer(2), Symbol('s0'))").
class SizeExpression {
 public:
  // One size: dimension `dimension` of the input `name`, or the symbol `name` (dimension -1).
  struct Variable {
    std::string name;
    std::int64_t dimension = -1;
  };

  // nullopt for what is no such formula. Nested inputs (L['a']['b']) are named as the exporter
  // names their placeholders: "a_b".
  static std::optional<SizeExpression> parse(std::string_view text);

  // nullopt if a variable is not known, or the arithmetic has no result. Truth is 1, falsehood 0.
  using Sizes = std::function<std::optional<std::int64_t>(const Variable&)>;
  std::optional<double> evaluate(const Sizes& sizes) const;

  // In infix notation, with `name` for each variable.
  using Names = std::function<std::string(const Variable&)>;
  std::string text(const Names& name) const;

  bool is_variable() const { return nodes_[root_].kind == Node::Kind::kVariable; }
  const std::vector<Variable>& variables() const { return variables_; }

 private:
  friend class SizeExpressionParser;

  struct Node {
    enum class Kind { kNumber, kVariable, kOperation };
    Kind kind = Kind::kNumber;
    double number = 0;
    std::size_t index = 0;  // of a variable, or of an operation in the table of them
    std::vector<std::size_t> operands;
  };

  std::optional<double> evaluate(std::size_t node, const Sizes& sizes) const;
  std::string text(std::size_t node, const Names& name) const;

  std::vector<Node> nodes_;
  std::size_t root_ = 0;
  std::vector<Variable> variables_;
};

}  // namespace tenon
