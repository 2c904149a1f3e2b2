#include "train/batch_order.h"

#include <algorithm>

namespace tenon {

BatchOrder::BatchOrder(const Dataset& data, const std::vector<InputSpec>& inputs,
                       const TrainConfig& config)
    : data_(data), config_(config), fixed_(check_batch_size(data, inputs, config.batch_size)) {
  if (config.group_by_length) lengths_.emplace(data, inputs);
  start_epoch();
}

std::int64_t BatchOrder::steps_per_epoch() const {
  const auto batches = static_cast<std::int64_t>(batches_.size());
  const std::int64_t together = config_.gradient_accumulation_steps;
  return (batches + together - 1) / together;
}

std::int64_t BatchOrder::rows_left_out() const {
  return fixed_ ? data_.rows % config_.batch_size : 0;
}

std::vector<Batch> BatchOrder::next() {
  if (!data_.images) return take();
  std::vector<Batch> step = ahead_.valid() ? ahead_.get() : take();
  ahead_ = std::async(std::launch::async, [this] { return take(); });
  return step;
}

std::vector<Batch> BatchOrder::take() {
  if (position_ == batches_.size()) {
    ++epoch_;
    start_epoch();
  }
  const std::size_t end = std::min(
      batches_.size(), position_ + static_cast<std::size_t>(config_.gradient_accumulation_steps));
  std::vector<Batch> step;
  for (; position_ < end; ++position_) {
    Batch& batch = step.emplace_back(take_batch(data_, batches_[position_]));
    if (lengths_) lengths_->cut_padding(batch, batches_[position_]);
  }
  return step;
}

void BatchOrder::start_epoch() {
  batches_ = batch_rows(data_.rows, config_.batch_size, config_.shuffle, config_.seed, epoch_,
                        fixed_, lengths_ ? lengths_->lengths() : std::vector<std::int64_t>());
  position_ = 0;
}

}  // namespace tenon
