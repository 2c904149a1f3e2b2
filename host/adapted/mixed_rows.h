#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adapted/adapted_layer.h"
#include "adapted/row_layout.h"

namespace tenon {

// What PEFT calls the base without any adapter in a batch of mixed rows.
constexpr const char* kBaseRows = "__base__";

// Rows of a batch that one adapter works on.
struct RowGroup {
  std::string adapter;  // or kBaseRows
  at::Tensor rows;      // int64, ascending
};

// The adapter of each row, in groups.
std::vector<RowGroup> group_rows(const std::vector<std::string>& adapters);

// Runs every layer with other adapters for other rows of the batch. By one call of the plugin where
// it heeds tenon_adapter.rows; else the plugin runs once for each adapter, on the whole batch and
// on one run of the base, and the rows are put together from what it gave.
class MixedRows : public LayerRunner {
 public:
  explicit MixedRows(std::vector<RowGroup> groups);

  // By group, what `layer` runs for its rows.
  void add(const AdaptedLayer& layer);
  // Wanted where there is more than one group.
  void set_layout(std::shared_ptr<const RowLayout> layout) { layout_ = std::move(layout); }

  std::vector<c10::IValue> run(const AdaptedLayer& layer, const SubgraphProgram& subgraph,
                               const std::vector<c10::IValue>& values,
                               const RunMode& mode) const override;
  void visit_slots(const AdaptedLayer& layer,
                   const std::function<void(const LayerAdapter&)>& visit) const override;

 private:
  std::vector<at::Tensor> rows_in(const at::Tensor& tensor, RowDimension dimension) const;
  at::Tensor put_together(const std::vector<at::Tensor>& by_group, RowDimension dimension) const;
  std::vector<c10::IValue> run_at_once(const std::vector<LayerChoice>& choices,
                                       const SubgraphProgram& subgraph,
                                       const std::vector<c10::IValue>& values,
                                       const RunMode& mode) const;
  std::vector<c10::IValue> run_each(const AdaptedLayer& layer,
                                    const std::vector<LayerChoice>& choices,
                                    const SubgraphProgram& subgraph, const CallRows& rows,
                                    const std::vector<c10::IValue>& values,
                                    const RunMode& mode) const;

  std::vector<RowGroup> groups_;
  std::int64_t batch_ = 0;
  std::shared_ptr<const RowLayout> layout_;
  std::map<const AdaptedLayer*, std::vector<LayerChoice>> choices_;
};

}  // namespace tenon
