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
  position_ = static_cast<std::size_t>(position.batch);
  given_ = position;
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
    Batch& batch = step.batches.emplace_back(take_batch(data_, batches_[position_]));
    if (lengths_) lengths_->cut_padding(batch, batches_[position_]);
  }
  step.after = {epoch_, static_cast<std::int64_t>(position_)};
  return step;
}

void BatchOrder::start_epoch() {
  batches_ = epoch_batches(data_, config_, config_.shuffle, epoch_, leaves_out_last_,
                           lengths_ ? lengths_->lengths() : std::vector<std::int64_t>());
  position_ = 0;
}

}  // namespace tenon
