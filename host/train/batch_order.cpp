#include "train/batch_order.h"

#include <algorithm>

namespace tenon {

BatchOrder::BatchOrder(const Dataset& data, const std::vector<InputSpec>& inputs,
                       const TrainConfig& config, const std::vector<SizeExpression>& guards)
    : data_(data),
      config_(config),
      leaves_out_last_(leaves_out_last(data, inputs, guards, config.batch_size)) {
  if (config.group_by_length) lengths_.emplace(data, inputs);
  start_epoch();
}

std::int64_t BatchOrder::steps_per_epoch() const {
  const auto batches = static_cast<std::int64_t>(batches_.size());
  const std::int64_t together = config_.gradient_accumulation_steps;
  return (batches + together - 1) / together;
}

std::int64_t BatchOrder::rows_left_out() const {
  return tenon::rows_left_out(data_, leaves_out_last_, config_.batch_size);
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
  batches_ = epoch_batches(data_, config_, config_.shuffle, epoch_, leaves_out_last_,
                           lengths_ ? lengths_->lengths() : std::vector<std::int64_t>());
  position_ = 0;
}

}  // namespace tenon
