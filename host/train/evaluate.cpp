#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <limits>

#include "train/batches.h"
#include "train/loss.h"
#include "train/trainer.h"

namespace tenon {

Evaluation evaluate(const TrainingTask& task, const Dataset& data, const TrainConfig& config) {
  const bool fixed = check_batch_size(data, task.inputs, config.batch_size);
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  const at::NoGradGuard no_grad;

  double loss_sum = 0;
  std::int64_t weight_sum = 0;
  std::optional<Accuracy> all;
  for (const auto& rows : batch_rows(data.rows, config.batch_size, false, 0, 0, fixed)) {
    const Batch batch = take_batch(data, rows);
    const std::vector<at::Tensor> outputs = task.forward(batch.inputs, false);
    const double loss = compute_loss(config.loss, outputs, batch.target).item<double>();
    const auto accuracy = count_correct(config.loss, outputs, batch.target);
    // A batch's loss is a mean over what it judged; one that judged nothing has none.
    const auto weight = accuracy ? accuracy->total : static_cast<std::int64_t>(rows.size());
    if (weight == 0) continue;
    loss_sum += loss * static_cast<double>(weight);
    weight_sum += weight;
    if (!accuracy) continue;
    if (!all) all = Accuracy{};
    all->correct += accuracy->correct;
    all->total += accuracy->total;
  }

  Evaluation evaluation;
  evaluation.loss = weight_sum > 0 ? loss_sum / static_cast<double>(weight_sum)
                                   : std::numeric_limits<double>::quiet_NaN();
  if (all)
    evaluation.accuracy = static_cast<double>(all->correct) / static_cast<double>(all->total);
  return evaluation;
}

}  // namespace tenon
