#include "graph/size_expression.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <stdexcept>
#include <utility>

#include "graph/size_operations.h"

namespace tenon {
namespace {

constexpr int kDeepest = 1000;  // calls of the parser, of which a pair of parentheses takes six
// A chain (a + b + ...) nests as deeply as it is long when it is computed.
constexpr std::size_t kMostNodes = 10000;

// Thrown and caught in this file alone.
struct NotAFormula : std::runtime_error {
  NotAFormula() : std::runtime_error("not a formula over sizes") {}
};

// From the loosest binding to the tightest, as in Python; `not`, `-` and `**` stand apart.
using Level = std::vector<std::string_view>;
const std::array<Level, 5>& levels() {
  static const std::array<Level, 5> kLevels{Level{"or"}, Level{"and"},
                                            Level{"==", "!=", "<=", ">=", "<", ">"},
                                            Level{"+", "-"}, Level{"//", "*", "/", "%"}};
  return kLevels;
}
constexpr std::size_t kComparisons = 2;

bool is_word(char character) {
  return std::isalnum(static_cast<unsigned char>(character)) != 0 || character == '_';
}

}  // namespace

class SizeExpressionParser {
 public:
  explicit SizeExpressionParser(std::string_view text) : rest_(text) {}

  SizeExpression parse() {
    result_.root_ = level(0);
    skip_spaces();
    if (!rest_.empty()) throw NotAFormula();
    return std::move(result_);
  }

 private:
  using Node = SizeExpression::Node;

  std::size_t level(std::size_t number) {
    if (number == levels().size()) return sign();
    const Deeper guard(depth_);
    if (number == kComparisons && take("not")) return operation("not", {level(kComparisons)});
    std::size_t left = level(number + 1);
    while (const auto symbol = take_any(levels()[number])) {
      left = operation(*symbol, {left, level(number + 1)});
      if (number == kComparisons) break;  // a chain (a < b < c) is none of the exporter's
    }
    return left;
  }

  std::size_t sign() {
    const Deeper guard(depth_);
    if (take("-")) return operation("-", {sign()});
    const std::size_t base = atom();
    return take("**") ? operation("**", {base, sign()}) : base;
  }

  std::size_t atom() {
    skip_spaces();
    if (take("(")) {
      const std::size_t inner = level(0);
      expect(")");
      return inner;
    }
    if (!rest_.empty() && std::isdigit(static_cast<unsigned char>(rest_.front())) != 0) {
      return number();
    }
    const std::string_view name = word();
    if (name == "L") return input();
    expect("(");
    return name == "Symbol" ? symbol() : call(name);
  }

  std::size_t number() {
    Node node;
    const auto [end, error] =
        std::from_chars(rest_.data(), rest_.data() + rest_.size(), node.number);
    if (error != std::errc()) throw NotAFormula();
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return add(std::move(node));
  }

  std::size_t call(std::string_view name) {
    std::vector<std::size_t> operands;
    do {
      operands.push_back(level(0));
    } while (take(","));
    expect(")");
    const auto index = find_size_function(name, operands.size());
    return operation(index, std::move(operands));
  }

  // Behind "Symbol(": the name, then what sympy assumes of it.
  std::size_t symbol() {
    SizeExpression::Variable variable{quoted(), -1};
    while (!take(")")) {
      if (rest_.empty()) throw NotAFormula();
      rest_.remove_prefix(1);
    }
    return add(std::move(variable));
  }

  // Behind "L": keys, then ".size()[number]".
  std::size_t input() {
    SizeExpression::Variable variable;
    while (take("[")) {
      skip_spaces();
      const bool is_text = !rest_.empty() && rest_.front() == '\'';
      const std::string key = is_text ? quoted() : std::string(word());
      variable.name += (variable.name.empty() ? "" : "_") + key;
      expect("]");
    }
    if (take(".size()")) {
      expect("[");
      const std::string_view dimension = word();
      const auto [end, error] = std::from_chars(
          dimension.data(), dimension.data() + dimension.size(), variable.dimension);
      if (error != std::errc()) throw NotAFormula();
      expect("]");
    }
    return add(std::move(variable));
  }

  std::size_t operation(std::string_view symbol, std::vector<std::size_t> operands) {
    const auto index = find_size_operator(symbol, operands.size());
    return operation(index, std::move(operands));
  }

  std::size_t operation(std::optional<std::size_t> index, std::vector<std::size_t> operands) {
    if (!index) throw NotAFormula();
    Node node;
    node.kind = Node::Kind::kOperation;
    node.index = *index;
    node.operands = std::move(operands);
    return add(std::move(node));
  }

  std::size_t add(SizeExpression::Variable variable) {
    Node node;
    node.kind = Node::Kind::kVariable;
    node.index = result_.variables_.size();
    result_.variables_.push_back(std::move(variable));
    return add(std::move(node));
  }

  std::size_t add(Node node) {
    if (result_.nodes_.size() == kMostNodes) throw NotAFormula();
    result_.nodes_.push_back(std::move(node));
    return result_.nodes_.size() - 1;
  }

  void skip_spaces() {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }

  bool take(std::string_view token) {
    skip_spaces();
    if (!rest_.starts_with(token)) return false;
    const std::string_view behind = rest_.substr(token.size());
    if (is_word(token.back()) && !behind.empty() && is_word(behind.front())) return false;
    if (token == "*" && behind.starts_with("*")) return false;
    rest_ = behind;
    return true;
  }

  std::optional<std::string_view> take_any(const Level& tokens) {
    for (const std::string_view token : tokens) {
      if (take(token)) return token;
    }
    return std::nullopt;
  }

  void expect(std::string_view token) {
    if (!take(token)) throw NotAFormula();
  }

  std::string_view word() {
    skip_spaces();
    std::size_t size = 0;
    while (size < rest_.size() && (is_word(rest_[size]) || rest_[size] == '.')) ++size;
    if (size == 0) throw NotAFormula();
    const std::string_view result = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return result;
  }

  std::string quoted() {
    expect("'");
    const std::size_t end = rest_.find('\'');
    if (end == std::string_view::npos) throw NotAFormula();
    std::string result(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return result;
  }

  struct Deeper {
    explicit Deeper(int& counter) : depth(counter) {
      if (++depth > kDeepest) throw NotAFormula();
    }
    ~Deeper() { --depth; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;
    int& depth;
  };

  std::string_view rest_;
  SizeExpression result_;
  int depth_ = 0;
};

std::optional<SizeExpression> SizeExpression::parse(std::string_view text) {
  try {
    return SizeExpressionParser(text).parse();
  } catch (const NotAFormula&) {
    return std::nullopt;
  }
}

std::optional<double> SizeExpression::evaluate(const Sizes& sizes) const {
  return evaluate(root_, sizes);
}

std::optional<double> SizeExpression::evaluate(std::size_t index, const Sizes& sizes) const {
  const Node& node = nodes_[index];
  if (node.kind == Node::Kind::kNumber) return node.number;
  if (node.kind == Node::Kind::kVariable) {
    const auto size = sizes(variables_[node.index]);
    return size ? std::optional<double>(static_cast<double>(*size)) : std::nullopt;
  }
  std::vector<double> operands;
  for (const std::size_t operand : node.operands) {
    const auto value = evaluate(operand, sizes);
    if (!value) return std::nullopt;
    operands.push_back(*value);
  }
  const double result = size_operation(node.index).compute(operands);
  return std::isnan(result) ? std::nullopt : std::optional<double>(result);
}

std::string SizeExpression::text(const Names& name) const {
  std::string result = text(root_, name);
  const bool in_parentheses =
      nodes_[root_].kind == Node::Kind::kOperation && result.front() == '(' && result.back() == ')';
  return in_parentheses ? result.substr(1, result.size() - 2) : result;
}

std::string SizeExpression::text(std::size_t index, const Names& name) const {
  const Node& node = nodes_[index];
  if (node.kind == Node::Kind::kVariable) return name(variables_[node.index]);
  if (node.kind == Node::Kind::kNumber) {
    std::array<char, 32> digits{};
    const auto end = std::to_chars(digits.begin(), digits.end(), node.number).ptr;
    return {digits.begin(), end};
  }
  const SizeOperation& operation = size_operation(node.index);
  const bool is_plain = operation.name == "Integer" || operation.name == "Float";
  if (is_plain) return text(node.operands.front(), name);
  std::string result = operation.symbol.empty() ? std::string(operation.name) + "(" : "(";
  const std::string between =
      operation.symbol.empty() ? ", " : " " + std::string(operation.symbol) + " ";
  if (node.operands.size() == 1 && !operation.symbol.empty()) {
    result += std::string(operation.symbol) + " ";
  }
  for (std::size_t i = 0; i < node.operands.size(); ++i) {
    if (i > 0) result += between;
    result += text(node.operands[i], name);
  }
  return result + ")";
}

}  // namespace tenon
