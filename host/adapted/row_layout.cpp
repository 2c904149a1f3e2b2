#include "adapted/row_layout.h"

#include <ATen/ATen.h>

#include "adapted/adapted_layer.h"

namespace tenon {
namespace {

// What a call read and wrote.
struct Seen {
  std::vector<at::Tensor> inputs;
  std::vector<at::Tensor> outputs;
};

std::vector<at::Tensor> tensors_of(const std::vector<c10::IValue>& values, std::size_t n) {
  std::vector<at::Tensor> tensors;
  for (std::size_t i = 0; i < n; ++i) tensors.push_back(values[i].toTensor());
  return tensors;
}

// Runs every layer's base and tells what passes.
class Watch : public LayerRunner {
 public:
  using Visit = std::function<void(const SubgraphProgram&, Seen)>;
  explicit Watch(Visit visit) : visit_(std::move(visit)) {}

  std::vector<c10::IValue> run(const AdaptedLayer& layer, const SubgraphProgram& subgraph,
                               const std::vector<c10::IValue>& values,
                               const RunMode& mode) const override {
    // A layer may write into its input: what it read is looked at before.
    std::vector<at::Tensor> inputs;
    for (const at::Tensor& input : tensors_of(values, subgraph.n_inputs)) {
      inputs.push_back(input.clone());
    }
    const LayerChoice bare = layer.choose_base();
    std::vector<c10::IValue> outputs = LayerRun(bare, subgraph, values, mode).outputs();
    std::vector<at::Tensor> copies;
    for (const at::Tensor& output : tensors_of(outputs, outputs.size())) {
      copies.push_back(output.clone());
    }
    visit_(subgraph, {std::move(inputs), std::move(copies)});
    return outputs;
  }

 private:
  Visit visit_;
};

// Rows that nobody can mix up: none is like another, even where the user's are.
at::Tensor with_distinct_rows(const at::Tensor& input, std::int64_t batch) {
  if (!input.is_floating_point() || input.dim() == 0 || input.size(0) != batch) return input;
  std::vector<std::int64_t> along(static_cast<std::size_t>(input.dim()), 1);
  along[0] = batch;
  const at::Tensor step =
      (at::arange(batch, input.options()) / static_cast<double>(batch)).reshape(along);
  return input * (1 + 0.25 * step) + 0.05 * step;
}

at::Tensor with_moved_rows(const at::Tensor& input, std::int64_t batch) {
  const bool has_rows = input.dim() > 0 && input.size(0) == batch;
  return has_rows ? at::roll(input, 1, 0) : input;
}

double largest(const at::Tensor& tensor) {
  return tensor.numel() == 0 ? 0 : tensor.abs().max().item<double>();
}

// Operators round differently for another order of rows; a mistaken dimension is off by far more.
double tolerance_of(const at::Tensor& tensor) {
  if (!tensor.is_floating_point()) return 0;
  const bool is_half = tensor.scalar_type() == at::kHalf || tensor.scalar_type() == at::kBFloat16;
  return is_half ? 2e-2 : 1e-4;
}

RowDimension rows_of(const at::Tensor& before, const at::Tensor& after, std::int64_t batch) {
  if (before.sizes() != after.sizes() || before.is_complex()) return kNoRows;
  const at::Tensor one = before.to(at::kDouble).nan_to_num();
  const at::Tensor other = after.to(at::kDouble).nan_to_num();
  RowDimension found = kNoRows;
  double smallest = tolerance_of(before) * largest(one);
  for (std::int64_t dimension = 0; dimension < one.dim(); ++dimension) {
    const std::int64_t size = one.size(dimension);
    if (size == 0 || size % batch != 0) continue;
    const double off = largest(other - at::roll(one, size / batch, dimension));
    if (found == kNoRows ? off > smallest : off >= smallest) continue;
    found = static_cast<RowDimension>(dimension);
    smallest = off;
  }
  return found;
}

std::vector<RowDimension> rows_of(const std::vector<at::Tensor>& before,
                                  const std::vector<at::Tensor>& after, std::int64_t batch) {
  std::vector<RowDimension> rows;
  for (std::size_t i = 0; i < before.size(); ++i) {
    rows.push_back(rows_of(before[i], after[i], batch));
  }
  return rows;
}

void keep_common(std::vector<RowDimension>& kept, const std::vector<RowDimension>& seen) {
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] != seen[i]) kept[i] = kNoRows;
  }
}

}  // namespace

RowLayout find_row_layout(const std::vector<at::Tensor>& inputs, const RunBase& run_base) {
  const at::NoGradGuard no_grad;
  const std::int64_t batch = inputs.at(0).size(0);
  std::vector<at::Tensor> first;
  std::vector<at::Tensor> second;
  for (const at::Tensor& input : inputs) {
    first.push_back(with_distinct_rows(input, batch));
    second.push_back(with_moved_rows(first.back(), batch));
  }
  std::map<const SubgraphProgram*, std::vector<Seen>> before;  // a loop runs a call several times
  run_base(first, Watch([&](const SubgraphProgram& call, Seen seen) {
             before[&call].push_back(std::move(seen));
           }));
  RowLayout layout;
  std::map<const SubgraphProgram*, std::size_t> counts;
  run_base(second, Watch([&](const SubgraphProgram& call, const Seen& after) {
             std::vector<Seen>& runs = before[&call];
             const std::size_t run = counts[&call]++;
             if (run >= runs.size()) return;
             const Seen seen = std::move(runs[run]);
             CallRows rows{rows_of(seen.inputs, after.inputs, batch),
                           rows_of(seen.outputs, after.outputs, batch)};
             const auto [known, is_new] = layout.emplace(&call, rows);
             if (is_new) return;
             keep_common(known->second.inputs, rows.inputs);
             keep_common(known->second.outputs, rows.outputs);
           }));
  return layout;
}

std::shared_ptr<const RowLayout> RowLayouts::find(const std::vector<at::Tensor>& inputs,
                                                  const RunBase& run_base) {
  std::vector<std::vector<std::int64_t>> sizes;
  for (const at::Tensor& input : inputs) sizes.push_back(input.sizes().vec());
  const std::scoped_lock lock(mutex_);
  std::shared_ptr<const RowLayout>& layout = layouts_[sizes];
  if (layout == nullptr) {
    layout = std::make_shared<const RowLayout>(find_row_layout(inputs, run_base));
  }
  return layout;
}

}  // namespace tenon
