#include "model/id_tables.h"

#include <ATen/ops/ge.h>
#include <ATen/ops/logical_or.h>
#include <ATen/ops/lt.h>
#include <ATen/ops/nonzero.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "base/suggest.h"

namespace tenon {
namespace {

// Operators after which the same values are there, each of them.
constexpr std::array<std::string_view, 16> kSameValues{
    "aten::alias",     "aten::clone",     "aten::contiguous", "aten::detach",
    "aten::expand",    "aten::flatten",   "aten::permute",    "aten::reshape",
    "aten::squeeze",   "aten::t",         "aten::to",         "aten::_to_copy",
    "aten::transpose", "aten::unsqueeze", "aten::view",       "aten::_unsafe_view"};

struct Lookup {
  std::string_view target;
  std::size_t table;
  std::size_t ids;
};
constexpr std::array<Lookup, 3> kLookups{
    {{"aten::embedding", 0, 1}, {"aten::embedding_bag", 0, 1}, {"aten::index_select", 0, 2}}};

std::optional<ValueId> value_at(const Node& node, std::size_t argument) {
  if (argument >= node.arguments.size()) return std::nullopt;
  const auto* value = std::get_if<ValueId>(&node.arguments[argument].value.value);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

bool selects_rows(const Node& node) {
  if (node.target != "aten::index_select") return true;
  const auto* dimension = std::get_if<c10::IValue>(&node.arguments[1].value.value);
  return dimension != nullptr && dimension->isInt() && dimension->toInt() == 0;
}

std::string module_text(const ModelData& model, const Node& node) {
  if (node.module_stack.empty()) return "";
  const Module& module = model.tree.at(node.module_stack.back());
  if (module.path.empty()) return "";
  return "`" + module.path + "` (" + module.type + ")";
}

}  // namespace

std::vector<IdTable> id_tables(const ModelData& model) {
  std::map<ValueId, std::size_t> inputs;  // values that hold an input's ids, as they came
  for (std::size_t i = 0; i < model.graph.inputs.size(); ++i) {
    inputs.emplace(model.graph.inputs[i], i);
  }
  std::vector<IdTable> tables;
  for (std::size_t i = 0; i < model.graph.nodes.size(); ++i) {
    const Node& node = model.graph.nodes[i];
    const auto same = std::ranges::find(kSameValues, node.target);
    if (same != kSameValues.end()) {
      const auto from = value_at(node, 0);
      const auto input = from ? inputs.find(*from) : inputs.end();
      if (input == inputs.end() || node.results.size() != 1 || node.results[0].is_list) continue;
      const std::size_t number = input->second;
      inputs.emplace(node.results[0].values.at(0), number);
      continue;
    }
    const auto* lookup = std::ranges::find(kLookups, node.target, &Lookup::target);
    if (lookup == kLookups.end() || !selects_rows(node)) continue;
    const auto weight = value_at(node, lookup->table);
    const auto ids = value_at(node, lookup->ids);
    if (!weight || !ids || !inputs.contains(*ids)) continue;
    const std::int32_t tensor = model.graph.values[static_cast<std::size_t>(*weight)].tensor;
    if (tensor < 0) continue;
    const at::Tensor& table = model.tensors[static_cast<std::size_t>(tensor)].tensor;
    if (table.dim() == 0) continue;
    tables.push_back(
        {inputs.at(*ids), static_cast<std::int32_t>(i), table.size(0), module_text(model, node)});
  }
  return tables;
}

std::string place_text(const at::Tensor& tensor, std::int64_t element) {
  std::vector<std::int64_t> place(static_cast<std::size_t>(tensor.dim()));
  for (std::int64_t d = tensor.dim() - 1; d >= 0; --d) {
    place[static_cast<std::size_t>(d)] = element % tensor.size(d);
    element /= tensor.size(d);
  }
  if (place.empty()) return "its one number";
  const std::string row = "row " + std::to_string(place[0]);
  if (place.size() == 1) return row;
  if (place.size() == 2) return row + ", column " + std::to_string(place[1]);
  std::vector<std::string> numbers;
  for (std::size_t d = 1; d < place.size(); ++d) numbers.push_back(std::to_string(place[d]));
  return row + ", place [" + join(numbers) + "]";
}

std::optional<std::string> bad_id(const at::Tensor& ids, const std::string& name,
                                  const IdTable& table) {
  if (!c10::isIntegralType(ids.scalar_type(), /*includeBool=*/false)) return std::nullopt;
  const at::Tensor flat = ids.contiguous().flatten().to(at::kLong);
  const at::Tensor bad = at::nonzero(at::logical_or(at::lt(flat, 0), at::ge(flat, table.rows)));
  if (bad.numel() == 0) return std::nullopt;
  const std::int64_t first = bad[0].item<std::int64_t>();
  std::string text = "`" + name + "` holds " + std::to_string(flat[first].item<std::int64_t>()) +
                     " in " + place_text(ids, first);
  if (bad.numel() > 1) text += ", and " + std::to_string(bad.numel() - 1) + " more such ids";
  return text + "; " + (table.module.empty() ? "the table it is looked up in" : table.module) +
         " has " + std::to_string(table.rows) + " rows, counted from 0";
}

}  // namespace tenon
