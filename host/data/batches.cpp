#include "data/batches.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "data/image_reader.h"
#include "graph/upload.h"
#include "model/input_check.h"

namespace tenon {

namespace {

[[noreturn]] void fail_batches(const std::string& message, const std::string& hint,
                               const std::string& location) {
  throw Error{{.stage = Stage::kTraining, .message = message, .hint = hint, .location = location}};
}

bool is_run(const std::vector<std::int64_t>& rows) {
  return std::adjacent_find(rows.begin(), rows.end(), [](std::int64_t a, std::int64_t b) {
           return b != a + 1;
         }) == rows.end();
}

bool is_shared(const Dataset& data, std::size_t input) {
  return data.is_one_batch || (input < data.shared.size() && data.shared[input]);
}

// Inputs of `rows` rows, as the program would get them but for their values.
std::vector<at::Tensor> sized_inputs(const Dataset& data, const std::vector<InputSpec>& inputs,
                                     std::int64_t rows) {
  std::vector<at::Tensor> sized;
  if (data.images) {
    const at::Tensor one = data.images->read({0});
    std::vector<std::int64_t> sizes = one.sizes().vec();
    sizes[0] = rows;
    sized.push_back(at::empty({1}, one.options()).expand(sizes));
    return sized;
  }
  for (std::size_t i = 0; i < data.inputs.size(); ++i) {
    const at::Tensor& all = data.inputs[i];
    const bool has_rows = all.dim() > 0 && !is_shared(data, i);
    if (!has_rows) {
      sized.push_back(all);
      continue;
    }
    std::vector<std::int64_t> sizes = all.sizes().vec();
    sizes[0] = rows;
    const bool known = i < inputs.size() && inputs[i].checked;
    sized.push_back(at::empty({1}, all.options().dtype(known ? inputs[i].dtype : all.scalar_type()))
                        .expand(sizes));
  }
  return sized;
}

// Why the program cannot take a batch of `rows` rows; "" where it can.
std::string refusal(const Dataset& data, const std::vector<InputSpec>& inputs,
                    const std::vector<SizeExpression>& guards, std::int64_t rows) {
  const std::vector<at::Tensor> sized = sized_inputs(data, inputs, rows);
  if (sized.size() != inputs.size()) return "";  // told by the forward
  try {
    check_inputs(inputs, sized, guards);
    return "";
  } catch (const Error& error) {
    return error.failure().message;
  }
}

// The nearest size of a batch that the program takes.
std::string nearest_size(const Dataset& data, const std::vector<InputSpec>& inputs,
                         const std::vector<SizeExpression>& guards, std::int64_t batch_size) {
  constexpr std::int64_t kFarthest = 256;
  for (std::int64_t away = 1; away <= kFarthest; ++away) {
    for (const std::int64_t size : {batch_size - away, batch_size + away}) {
      if (size < 1 || size > data.rows || !refusal(data, inputs, guards, size).empty()) continue;
      return "a batch of " + std::to_string(size) +
             " rows fits: set batch_size = " + std::to_string(size) + ", or export for other sizes";
    }
  }
  return "export the program for batches of this data's rows";
}

// Whether the export fixed the size of a batch.
bool check_fixed_size(const Dataset& data, const std::vector<InputSpec>& inputs,
                      std::int64_t batch_size, std::int64_t parts) {
  bool fixed = false;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const InputSpec& input = inputs[i];
    if (is_shared(data, i)) continue;
    if (input.dimensions.empty() || input.dimensions[0].fixed < 0) continue;
    fixed = true;
    const std::string size = std::to_string(input.dimensions[0].fixed);
    if (input.dimensions[0].fixed == batch_size) continue;
    fail_batches("dimension 0 of `" + input.name + "` was fixed to " + size +
                     " when this model was exported",
                 "set batch_size = " + size + ", or export with a dynamic dimension", "");
  }
  if (fixed && data.rows < batch_size * parts) {
    const std::string each =
        parts == 1 ? "" : " for each of " + std::to_string(parts) + " processes";
    fail_batches("the data have " + std::to_string(data.rows) +
                     " rows; the export fixed a batch to " + std::to_string(batch_size) + each,
                 "add rows, or export with a dynamic dimension", data.source);
  }
  return fixed;
}

}  // namespace

std::optional<at::Tensor> target_of(const Batch& batch, std::size_t loss) {
  if (loss == 0) return batch.target;
  const at::Tensor& target = batch.other_targets.at(loss - 1);
  return target.defined() ? std::optional(target) : std::nullopt;
}

Batch take_batch(const Dataset& data, const std::vector<std::int64_t>& rows) {
  const auto count = static_cast<std::int64_t>(rows.size());
  const bool run = is_run(rows);
  // The index only borrows `rows`; the operators that take it do not write.
  const at::Tensor index =
      at::from_blob(const_cast<std::int64_t*>(rows.data()), {count}, at::kLong);
  const auto take = [&](const at::Tensor& all) {
    if (all.dim() == 0) return all;  // a number, the same for all rows
    return run ? all.narrow(0, rows.front(), count).clone() : all.index_select(0, index);
  };
  Batch batch;
  batch.rows = rows;
  batch.inputs.reserve(data.inputs.size());
  if (data.images) batch.inputs.push_back(data.images->read(rows));
  for (std::size_t i = 0; i < data.inputs.size(); ++i) {
    batch.inputs.push_back(is_shared(data, i) ? data.inputs[i].clone() : take(data.inputs[i]));
  }
  for (const at::Tensor& target : data.other_targets) {
    const bool is_taken = target.defined() && !data.is_one_batch;
    batch.other_targets.push_back(is_taken ? take(target) : target);
  }
  if (data.weights) batch.weights = data.is_one_batch ? *data.weights : take(*data.weights);
  if (data.target) batch.target = data.is_one_batch ? data.target->clone() : take(*data.target);
  return batch;
}

Batch with_targets_on(c10::Device device, Batch batch) {
  if (batch.target) batch.target = upload(*batch.target, device);
  batch.other_targets = upload(batch.other_targets, device);
  batch.weights = upload(batch.weights, device);
  return batch;
}

bool leaves_out_last(const Dataset& data, const std::vector<InputSpec>& inputs,
                     const std::vector<SizeExpression>& guards, std::int64_t batch_size,
                     std::int64_t parts) {
  if (data.rows < 1) fail_batches("the data have no rows", "", data.source);
  if (batch_size < 1) {
    fail_batches("batch_size is " + std::to_string(batch_size),
                 "set [train] batch_size to 1 or more", "");
  }
  const bool fixed = !data.is_one_batch && check_fixed_size(data, inputs, batch_size, parts);
  const auto largest_part = [&](std::int64_t rows) { return (rows + parts - 1) / parts; };
  const std::int64_t first =
      data.is_one_batch ? data.rows : std::min(batch_size, largest_part(data.rows));
  if (const std::string why = refusal(data, inputs, guards, first); !why.empty()) {
    fail_batches("the program takes no batch of " + std::to_string(first) + " rows: " + why,
                 data.is_one_batch ? "export the program for batches of this data's rows"
                                   : nearest_size(data, inputs, guards, first),
                 data.source);
  }
  if (data.is_one_batch) return false;
  const std::int64_t rest = data.rows % (batch_size * parts);
  const auto is_refused = [&](std::int64_t rows) {
    return rows > 0 && !refusal(data, inputs, guards, rows).empty();
  };
  return fixed || is_refused(largest_part(rest)) || is_refused(rest / parts);
}

std::int64_t rows_left_out(const Dataset& data, bool drops_last, std::int64_t batch_size) {
  return drops_last ? data.rows % batch_size : 0;
}

std::vector<std::vector<std::int64_t>> epoch_batches(const Dataset& data, const TrainConfig& config,
                                                     bool shuffle, std::int64_t epoch,
                                                     bool drops_last,
                                                     const std::vector<std::int64_t>& lengths) {
  if (!data.is_one_batch) {
    return batch_rows(data.rows, config.batch_size, shuffle, config.seed, epoch, drops_last,
                      lengths);
  }
  std::vector<std::int64_t> all(static_cast<std::size_t>(data.rows));
  std::iota(all.begin(), all.end(), 0);
  return {all};
}

std::string rows_text(const std::vector<std::int64_t>& rows) {
  if (rows.empty()) return "no rows";
  if (rows.size() == 1) return "row " + std::to_string(rows.front());
  if (is_run(rows)) {
    return "rows " + std::to_string(rows.front()) + " to " + std::to_string(rows.back());
  }
  constexpr std::size_t kShown = 8;
  std::string text = "rows ";
  for (std::size_t i = 0; i < std::min(kShown, rows.size()); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(rows[i]);
  }
  return rows.size() > kShown ? text + ", ..." : text;
}

}  // namespace tenon
