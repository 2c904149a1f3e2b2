#include "train/batches.h"

#include <ATen/ops/from_blob.h>

#include <algorithm>

#include "base/error.h"
#include "train/image_reader.h"

namespace tenon {

namespace {

[[noreturn]] void fail(const std::string& message, const std::string& hint,
                       const std::string& location) {
  throw Error{{.stage = Stage::kTraining, .message = message, .hint = hint, .location = location}};
}

bool is_run(const std::vector<std::int64_t>& rows) {
  return std::adjacent_find(rows.begin(), rows.end(), [](std::int64_t a, std::int64_t b) {
           return b != a + 1;
         }) == rows.end();
}

}  // namespace

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
  batch.inputs.reserve(data.inputs.size());
  if (data.images) batch.inputs.push_back(data.images->read(rows));
  for (const at::Tensor& input : data.inputs) batch.inputs.push_back(take(input));
  if (data.target) batch.target = take(*data.target);
  return batch;
}

bool check_batch_size(const Dataset& data, const std::vector<InputSpec>& inputs,
                      std::int64_t batch_size) {
  if (data.rows < 1) fail("the data have no rows", "", data.source);
  if (batch_size < 1) {
    fail("batch_size is " + std::to_string(batch_size), "set [train] batch_size to 1 or more", "");
  }
  bool fixed = false;
  for (const InputSpec& input : inputs) {
    if (input.dimensions.empty() || input.dimensions[0].fixed < 0) continue;
    fixed = true;
    const std::string size = std::to_string(input.dimensions[0].fixed);
    if (input.dimensions[0].fixed == batch_size) continue;
    fail("dimension 0 of `" + input.name + "` was fixed to " + size +
             " when this model was exported",
         "set batch_size = " + size + ", or export with a dynamic dimension", "");
  }
  if (fixed && data.rows < batch_size) {
    fail("the data have " + std::to_string(data.rows) + " rows; the export fixed a batch to " +
             std::to_string(batch_size),
         "add rows, or export with a dynamic dimension", data.source);
  }
  return fixed;
}

}  // namespace tenon
