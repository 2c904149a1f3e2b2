#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "capture/recording.h"

namespace tenon {

// A size that the inputs have in common, and what it was in each run.
struct SizeSymbol {
  std::size_t input = 0;  // where a forward reads it
  std::int64_t dimension = 0;
  std::vector<std::int64_t> values;  // by run
};

// Finds how an integer of a forward follows the sizes of its inputs, from what both were in several
// runs, and writes the arithmetic as nodes: sizes themselves, affine functions, whole quotients,
// products; then the same of the sizes of the operator's own tensors. What it finds is proved later
// against the model itself.
class SizeExpressions {
 public:
  // All runs have the same values by the same ids; nodes and numbers are added to `graph`'s values.
  SizeExpressions(const std::vector<Recording>& runs, std::vector<SizeSymbol> symbols,
                  Graph& graph);

  // The number with these values in the runs, as an argument of `node`; nullopt if nothing fits.
  std::optional<ValueId> find(const std::vector<std::int64_t>& values, std::size_t node);

  // Nodes to run at the start, and before each node.
  std::vector<Node> at_start;
  std::map<std::size_t, std::vector<Node>> before;

 private:
  // Something known at a place: a symbol or a size of a value, with its number once it is needed.
  struct Atom {
    std::vector<std::int64_t> values;
    ValueId tensor = kNoValue;
    std::int64_t dimension = 0;
  };

  std::optional<ValueId> from_atoms(const std::vector<std::int64_t>& values,
                                    const std::vector<Atom>& atoms, std::vector<Node>& place,
                                    const std::string& scope);
  std::optional<ValueId> from_products(const std::vector<std::int64_t>& values,
                                       const std::vector<Atom>& atoms, std::vector<Node>& place,
                                       const std::string& scope);
  std::vector<Atom> sizes_read_by(std::size_t node) const;
  ValueId size_of(const Atom& atom, std::vector<Node>& place, const std::string& scope);
  ValueId arithmetic(const char* target, ValueId left, Argument right, std::vector<Node>& place,
                     const std::string& key);
  ValueId new_number();

  const std::vector<Recording>& runs_;
  std::vector<Atom> symbols_;
  Graph& graph_;
  std::map<std::string, ValueId> known_;  // by the text of the expression and its place
};

}  // namespace tenon
