#include "adapted/mixed_rows.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <deque>

#include "base/error.h"

namespace tenon {
namespace {

bool runs_base_weights(const AdaptedLayer& layer, const LayerChoice& choice) {
  return std::ranges::equal(
      choice.weights, layer.weights(),
      [](const at::Tensor& one, const at::Tensor& other) { return one.is_same(other); });
}

[[noreturn]] void fail(const AdaptedLayer& layer, const std::string& why) {
  throw Error({.stage = Stage::kInjection,
               .message = "`" + layer.path() + "` cannot run other adapters for other rows: " + why,
               .hint = "run the adapters one after the other"});
}

}  // namespace

std::vector<RowGroup> group_rows(const std::vector<std::string>& adapters) {
  std::map<std::string, std::vector<std::int64_t>> rows;
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    rows[adapters[i]].push_back(static_cast<std::int64_t>(i));
  }
  std::vector<RowGroup> groups;
  for (const auto& [adapter, numbers] : rows) {
    groups.push_back({adapter, at::tensor(numbers, at::kLong)});
  }
  return groups;
}

MixedRows::MixedRows(std::vector<RowGroup> groups) : groups_(std::move(groups)) {
  for (const RowGroup& group : groups_) batch_ += group.rows.numel();
}

void MixedRows::add(const AdaptedLayer& layer) {
  std::vector<LayerChoice>& choices = choices_[&layer];
  for (const RowGroup& group : groups_) {
    const bool is_base = group.adapter == kBaseRows;
    choices.push_back(is_base ? layer.choose_base() : layer.choose({&group.adapter, 1}));
  }
}

void MixedRows::visit_slots(const AdaptedLayer& layer,
                            const std::function<void(const LayerAdapter&)>& visit) const {
  for (const LayerChoice& choice : choices_.at(&layer)) {
    for (const auto& layer_adapter : choice.layer_adapters) visit(*layer_adapter);
  }
}

std::vector<c10::IValue> MixedRows::run(const AdaptedLayer& layer, const SubgraphProgram& subgraph,
                                        const std::vector<c10::IValue>& values,
                                        const RunMode& mode) const {
  const std::vector<LayerChoice>& choices = choices_.at(&layer);
  const bool is_bare = std::ranges::all_of(choices, &LayerChoice::is_bare);
  if (is_bare || choices.size() == 1) return LayerRun(choices[0], subgraph, values, mode).outputs();
  const auto found = layout_->find(&subgraph);
  if (found == layout_->end() || std::ranges::count(found->second.outputs, kNoRows) > 0) {
    fail(layer, "what it gives does not hold the rows of the batch one after the other");
  }
  const CallRows& rows = found->second;
  const LayerType* layer_type = nullptr;
  for (const LayerChoice& choice : choices) {
    if (choice.layer_type != nullptr) layer_type = choice.layer_type;
    if (choice.is_saved_module && mode.training && subgraph.normalises_batch) {
      fail(layer, "while it trains, BatchNorm looks at all rows at once");
    }
  }
  const bool at_once =
      layer_type != nullptr && layer_type->heeds_rows() && !rows.inputs.empty() &&
      rows.inputs[0] == 0 &&
      std::ranges::all_of(rows.outputs, [](RowDimension dimension) { return dimension == 0; }) &&
      std::ranges::all_of(choices, [&](const LayerChoice& choice) {
        return (choice.layer_type == nullptr || choice.layer_type == layer_type) &&
               !choice.is_saved_module && runs_base_weights(layer, choice);
      });
  return at_once ? run_at_once(choices, subgraph, values, mode)
                 : run_each(layer, choices, subgraph, rows, values, mode);
}

// The numbers of each group's rows in a tensor that holds each row several times in a row.
std::vector<at::Tensor> MixedRows::rows_in(const at::Tensor& tensor, RowDimension dimension) const {
  const std::int64_t times = tensor.size(dimension) / batch_;
  std::vector<at::Tensor> numbers;
  for (const RowGroup& group : groups_) {
    const at::Tensor& rows = group.rows;
    numbers.push_back(
        (times == 1 ? rows
                    : (rows.unsqueeze(1) * times + at::arange(times, rows.options())).flatten())
            .to(tensor.device()));
  }
  return numbers;
}

std::vector<c10::IValue> MixedRows::run_at_once(const std::vector<LayerChoice>& choices,
                                                const SubgraphProgram& subgraph,
                                                const std::vector<c10::IValue>& values,
                                                const RunMode& mode) const {
  const std::vector<at::Tensor> rows = rows_in(values[0].toTensor(), 0);
  std::deque<tenon_adapter> tables;
  std::vector<const tenon_adapter*> adapters;
  const LayerChoice* any = nullptr;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    for (const tenon_adapter* adapter : choices[i].adapters) {
      tables.push_back(*adapter);
      tables.back().rows = to_handle(rows[i]);
      adapters.push_back(&tables.back());
      any = &choices[i];
    }
  }
  return LayerRun(*any, subgraph, values, mode, nullptr, &adapters).outputs();
}

std::vector<c10::IValue> MixedRows::run_each(const AdaptedLayer& layer,
                                             const std::vector<LayerChoice>& choices,
                                             const SubgraphProgram& subgraph, const CallRows& rows,
                                             const std::vector<c10::IValue>& values,
                                             const RunMode& mode) const {
  KeptBase kept;
  std::vector<std::vector<at::Tensor>> by_output(subgraph.n_outputs);
  for (const LayerChoice& choice : choices) {
    LayerRun run(choice, subgraph, values, mode,
                 runs_base_weights(layer, choice) ? &kept : nullptr);
    std::vector<c10::IValue> outputs = run.outputs();
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      by_output[i].push_back(std::move(outputs[i]).toTensor());
    }
  }
  std::vector<c10::IValue> outputs;
  for (std::size_t i = 0; i < by_output.size(); ++i) {
    outputs.emplace_back(put_together(by_output[i], rows.outputs[i]));
  }
  return outputs;
}

at::Tensor MixedRows::put_together(const std::vector<at::Tensor>& by_group,
                                   RowDimension dimension) const {
  const std::vector<at::Tensor> numbers = rows_in(by_group[0], dimension);
  std::vector<at::Tensor> parts;
  for (std::size_t i = 0; i < by_group.size(); ++i) {
    parts.push_back(by_group[i].index_select(dimension, numbers[i]));
  }
  const at::Tensor order = at::cat(numbers).argsort();
  return at::cat(parts, dimension).index_select(dimension, order);
}

}  // namespace tenon
