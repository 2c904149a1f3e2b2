#include "model/layer_attributes.h"

#include <ATen/core/List.h>

#include <optional>

namespace tenon {
namespace {

// nullopt for what has no place in an option: a device, a list of tensors.
std::optional<OptionValue> to_option(const c10::IValue& value) {
  if (value.isNone()) return std::monostate();
  if (value.isBool()) return value.toBool();
  if (value.isInt()) return value.toInt();
  if (value.isDouble()) return value.toDouble();
  if (value.isString()) return value.toStringRef();
  if (value.isIntList()) return value.toIntVector();
  if (value.isDoubleList()) return value.toDoubleVector();
  if (value.isBoolList()) {
    const auto list = value.toBoolList();
    return TruthList{{list.begin(), list.end()}};
  }
  return std::nullopt;
}

}  // namespace

OptionTable layer_attributes(const ModelData& model, const Subgraph& subgraph) {
  OptionTable table;
  for (const auto& [name, value] : operator_attributes(model, subgraph)) {
    if (auto option = to_option(value)) table.emplace(name, *std::move(option));
  }
  return table;
}

}  // namespace tenon
