#include "data/batch_order.h"

#include <algorithm>

#include "base/error.h"

namespace tenon {
namespace {

void check_share(const Dataset& data, const RowShare& share) {
  if (!data.is_one_batch || share.count == 1) return;
  throw Error({.stage = Stage::kTraining,
               .message = "the rows of the data belong together, so that " +
                          std::to_string(share.count) + " processes cannot share them",
               .hint = "run it in one process",
               .location = data.source});
}

}  // namespace

BatchOrder::BatchOrder(const Dataset& data, const std::vector<InputSpec>& inputs,
                       const TrainConfig& config, const std::vector<SizeExpression>& guards,
                       RowShare share)
    : data_(data),
      config_(config),
      share_(share),
      leaves_out_last_(leaves_out_last(data, inputs, guards, config.batch_size, share.count)) {
  check_share(data, share);
  config_.batch_size *= share.count;
  if (config.group_by_length) lengths_.emplace(data, inputs);
  start_epoch();
  steps_per_epoch_ = steps_of(static_cast<std::int64_t>(batches_.size()));
}

std::int64_t BatchOrder::steps_of(std::int64_t batches) const {
  const std::int64_t together = config_.gradient_accumulation_steps;
  return (batches + together - 1) / together;
}

std::int64_t BatchOrder::rows_left_out() const {
  return tenon::rows_left_out(data_, leaves_out_last_, config_.batch_size);
}

std::vector<Batch> BatchOrder::next() {
  Taken step = ahead_.valid() ? ahead_.get() : take();
  given_ = step.after;
  if (data_.images) ahead_ = std::async(std::launch::async, [this] { return take(); });
  return std::move(step.batches);
}

void BatchOrder::go_to(const BatchPosition& position) {
  if (ahead_.valid()) ahead_.get();
  epoch_ = position.epoch;
  start_epoch();
  std::int64_t rows = 0;  // behind the position, if all of the epoch was shared as it is now
  const auto batch = static_cast<std::size_t>(position.batch);
  for (std::size_t i = 0; i < std::min(batch, batches_.size()); ++i) {
    rows += static_cast<std::int64_t>(batches_[i].size());
  }
  const bool is_same = position.together == config_.batch_size && position.rows == rows;
  if (position.together == 0 || is_same) {
    position_ = batch;
    before_.rows = rows;
  } else {
    share_rest(position);
  }
  given_ = position;
}

std::int64_t BatchOrder::steps_left(std::int64_t epochs) const {
  if (epoch_ >= epochs) return 0;
  const auto batches = static_cast<std::int64_t>(batches_.size() - position_);
  return steps_of(batches) + (epochs - epoch_ - 1) * steps_per_epoch_;
}

double BatchOrder::epochs_done() const {
  return static_cast<double>(given_.epoch) +
         static_cast<double>(steps_of(given_.batch)) / static_cast<double>(steps_per_epoch_);
}

BatchOrder::Taken BatchOrder::take() {
  if (position_ == batches_.size()) {
    ++epoch_;
    start_epoch();
  }
  const std::size_t end = std::min(
      batches_.size(), position_ + static_cast<std::size_t>(config_.gradient_accumulation_steps));
  Taken step;
  for (; position_ < end; ++position_) {
    const std::vector<std::int64_t>& all = batches_[position_];
    std::vector<std::int64_t> own;
    for (auto i = static_cast<std::size_t>(share_.rank); i < all.size();
         i += static_cast<std::size_t>(share_.count)) {
      own.push_back(all[i]);
    }
    before_.rows += static_cast<std::int64_t>(all.size());
    if (own.empty()) continue;
    Batch& batch = step.batches.emplace_back(take_batch(data_, own));
    if (lengths_) lengths_->cut_padding(batch, own);
  }
  step.after = {epoch_, before_.batch + static_cast<std::int64_t>(position_), before_.rows,
                before_.together};
  return step;
}

std::vector<std::vector<std::int64_t>> BatchOrder::batches_of_epoch(std::int64_t together) const {
  TrainConfig config = config_;
  config.batch_size = together;
  return epoch_batches(data_, config, config_.shuffle, epoch_, leaves_out_last_,
                       lengths_ ? lengths_->lengths() : std::vector<std::int64_t>());
}

void BatchOrder::start_epoch() {
  batches_ = batches_of_epoch(config_.batch_size);
  position_ = 0;
  before_ = {.epoch = epoch_, .together = config_.batch_size};
}

void BatchOrder::share_rest(const BatchPosition& position) {
  std::vector<std::int64_t> rest;
  for (const auto& batch : batches_of_epoch(position.together)) {
    rest.insert(rest.end(), batch.begin(), batch.end());
  }
  rest.erase(rest.begin(),
             rest.begin() + std::min(position.rows, static_cast<std::int64_t>(rest.size())));
  batches_.clear();
  const auto size = static_cast<std::size_t>(config_.batch_size);
  for (std::size_t first = 0; first < rest.size(); first += size) {
    const std::size_t last = std::min(first + size, rest.size());
    if (leaves_out_last_ && last - first < size) break;
    batches_.emplace_back(rest.begin() + static_cast<std::ptrdiff_t>(first),
                          rest.begin() + static_cast<std::ptrdiff_t>(last));
  }
  before_ = position;
  before_.batch = (position.rows + config_.batch_size - 1) / config_.batch_size;
}

}  // namespace tenon
