#include "capture/size_expressions.h"

#include <algorithm>

#include "graph/graph_walk.h"

namespace tenon {
namespace {

using Numbers = std::vector<std::int64_t>;

struct Affine {
  std::int64_t factor = 1;
  std::int64_t divisor = 1;
  std::int64_t offset = 0;
};

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  return a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
}

template <typename Function>
bool fits(const Numbers& values, const Numbers& atom, const Function& function) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (function(atom[i]) != values[i]) return false;
  }
  return true;
}

// values = factor * atom + offset, or floor(atom / divisor) + offset.
std::optional<Affine> affine_fit(const Numbers& values, const Numbers& atom) {
  std::size_t other = 1;
  while (other < atom.size() && atom[other] == atom[0]) ++other;
  if (other == atom.size()) return std::nullopt;
  const std::int64_t run = atom[other] - atom[0];
  const std::int64_t rise = values[other] - values[0];
  if (rise % run == 0) {
    const std::int64_t factor = rise / run;
    const std::int64_t offset = values[0] - factor * atom[0];
    const auto affine = [&](std::int64_t a) { return factor * a + offset; };
    if (factor != 0 && fits(values, atom, affine)) return Affine{factor, 1, offset};
  }
  constexpr std::int64_t kLargestDivisor = 64;
  for (std::int64_t divisor = 2; divisor <= kLargestDivisor; ++divisor) {
    const std::int64_t offset = values[0] - floor_divide(atom[0], divisor);
    const auto quotient = [&](std::int64_t a) { return floor_divide(a, divisor) + offset; };
    if (fits(values, atom, quotient)) return Affine{1, divisor, offset};
  }
  return std::nullopt;
}

bool varies(const Numbers& values) {
  return std::any_of(values.begin(), values.end(),
                     [&](std::int64_t value) { return value != values.front(); });
}

Argument number(std::int64_t value) { return {c10::IValue(value)}; }

}  // namespace

SizeExpressions::SizeExpressions(const std::vector<Recording>& runs,
                                 std::vector<SizeSymbol> symbols, Graph& graph)
    : runs_(runs), graph_(graph) {
  for (SizeSymbol& symbol : symbols) {
    symbols_.push_back(
        {std::move(symbol.values), runs[0].graph.inputs[symbol.input], symbol.dimension});
  }
}

std::optional<ValueId> SizeExpressions::find(const Numbers& values, std::size_t node) {
  if (const auto id = from_atoms(values, symbols_, at_start, "start")) return id;
  if (const auto id = from_products(values, symbols_, at_start, "start")) return id;
  const std::vector<Atom> own = sizes_read_by(node);
  const std::string scope = "node " + std::to_string(node);
  std::vector<Node> nodes = before[node];
  std::optional<ValueId> found = from_atoms(values, own, nodes, scope);
  if (!found) found = from_products(values, own, nodes, scope);
  before[node] = std::move(nodes);
  return found;
}

std::optional<ValueId> SizeExpressions::from_atoms(const Numbers& values,
                                                   const std::vector<Atom>& atoms,
                                                   std::vector<Node>& place,
                                                   const std::string& scope) {
  for (const Atom& atom : atoms) {
    if (atom.values == values) return size_of(atom, place, scope);
  }
  for (const Atom& atom : atoms) {
    const auto fit = affine_fit(values, atom.values);
    if (!fit) continue;
    ValueId id = size_of(atom, place, scope);
    const std::string key = scope + " " + std::to_string(id);
    if (fit->divisor != 1) {
      id = arithmetic("_operator.floordiv", id, number(fit->divisor), place, key);
    }
    if (fit->factor != 1) id = arithmetic("_operator.mul", id, number(fit->factor), place, key);
    if (fit->offset != 0) id = arithmetic("_operator.add", id, number(fit->offset), place, key);
    return id;
  }
  return std::nullopt;
}

// factor * the product of two or more of the atoms, the factor a whole number or its inverse.
std::optional<ValueId> SizeExpressions::from_products(const Numbers& values,
                                                      const std::vector<Atom>& atoms,
                                                      std::vector<Node>& place,
                                                      const std::string& scope) {
  constexpr std::size_t kMostAtoms = 12;
  if (atoms.size() < 2 || atoms.size() > kMostAtoms) return std::nullopt;
  for (std::size_t subset = 1; subset < (std::size_t{1} << atoms.size()); ++subset) {
    Numbers product(values.size(), 1);
    std::vector<const Atom*> factors;
    for (std::size_t a = 0; a < atoms.size(); ++a) {
      if ((subset >> a & 1) == 0) continue;
      factors.push_back(&atoms[a]);
      for (std::size_t i = 0; i < product.size(); ++i) product[i] *= atoms[a].values[i];
    }
    if (factors.size() < 2 || product[0] == 0 || values[0] == 0) continue;
    const std::int64_t factor = values[0] / product[0];
    const std::int64_t divisor = product[0] / values[0];
    const bool multiple = factor > 0 && fits(values, product, [&](auto p) { return p * factor; });
    const bool part = divisor > 0 && fits(product, values, [&](auto v) { return v * divisor; });
    if (!multiple && !part) continue;
    ValueId id = size_of(*factors[0], place, scope);
    for (std::size_t f = 1; f < factors.size(); ++f) {
      id = arithmetic("_operator.mul", id, {size_of(*factors[f], place, scope)}, place,
                      scope + " " + std::to_string(id));
    }
    const std::string key = scope + " " + std::to_string(id);
    if (multiple && factor != 1) id = arithmetic("_operator.mul", id, number(factor), place, key);
    if (!multiple) id = arithmetic("_operator.floordiv", id, number(divisor), place, key);
    return id;
  }
  return std::nullopt;
}

// Of each tensor that the node reads, the sizes; those that vary first.
std::vector<SizeExpressions::Atom> SizeExpressions::sizes_read_by(std::size_t node) const {
  std::vector<Atom> atoms;
  for_each_read(runs_[0].graph.nodes[node], [&](ValueId id) {
    const auto index = static_cast<std::size_t>(id);
    for (std::size_t d = 0; d < runs_[0].sizes[index].size(); ++d) {
      Atom atom{{}, id, static_cast<std::int64_t>(d)};
      for (const Recording& run : runs_) {
        atom.values.push_back(d < run.sizes[index].size() ? run.sizes[index][d] : -1);
      }
      atoms.push_back(std::move(atom));
    }
  });
  std::stable_partition(atoms.begin(), atoms.end(),
                        [](const Atom& atom) { return varies(atom.values); });
  return atoms;
}

ValueId SizeExpressions::size_of(const Atom& atom, std::vector<Node>& place,
                                 const std::string& scope) {
  const std::string key =
      scope + " size " + std::to_string(atom.tensor) + " " + std::to_string(atom.dimension);
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  Node node;
  node.target = "aten::sym_size";
  node.overload = "int";
  node.arguments = {{"self", {atom.tensor}}, {"dim", number(atom.dimension)}};
  const ValueId id = new_number();
  node.results.push_back({false, {id}});
  place.push_back(std::move(node));
  return known_[key] = id;
}

ValueId SizeExpressions::arithmetic(const char* target, ValueId left, Argument right,
                                    std::vector<Node>& place, const std::string& scope) {
  const auto* value = std::get_if<ValueId>(&right.value);
  const std::string key = scope + " " + target + " " + std::to_string(left) + " " +
                          (value != nullptr ? "v" + std::to_string(*value)
                                            : c10::str(std::get<c10::IValue>(right.value)));
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  Node node;
  node.target = target;
  node.arguments = {{"", {left}}, {"", std::move(right)}};
  const ValueId id = new_number();
  node.results.push_back({false, {id}});
  place.push_back(std::move(node));
  return known_[key] = id;
}

ValueId SizeExpressions::new_number() {
  const auto id = static_cast<ValueId>(graph_.values.size());
  graph_.values.push_back({"size_" + std::to_string(id), ValueKind::kIntermediate, -1, true});
  return id;
}

}  // namespace tenon
