#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <cstring>

#include "base/error.h"
#include "data/batches.h"
#include "data/data_check.h"
#include "objectives/loss.h"
#include "train/evaluation_tally.h"
#include "train/trainer.h"

namespace tenon {

namespace {

using Lists = std::vector<std::vector<double>>;

// As bytes that another rank of the same program reads: each list's length, then its numbers.
std::string packed(const Lists& lists) {
  std::vector<double> numbers;
  for (const std::vector<double>& list : lists) {
    numbers.push_back(static_cast<double>(list.size()));
    numbers.insert(numbers.end(), list.begin(), list.end());
  }
  std::string bytes(numbers.size() * sizeof(double), '\0');
  std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return bytes;
}

Lists unpacked(const std::string& bytes) {
  std::vector<double> numbers(bytes.size() / sizeof(double));
  std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(double));
  Lists lists;
  for (auto at = numbers.begin(); at != numbers.end();) {
    const auto length = static_cast<std::ptrdiff_t>(*at++);
    lists.emplace_back(at, at + length);
    at += length;
  }
  return lists;
}

// Of the batches of the ranks; nothing where one was stopped.
std::optional<Evaluation> joined(Ranks& ranks, EvaluationTally& own, EvaluationTally& all,
                                 const Dataset& data, bool is_stopped) {
  if (ranks.is_alone()) return is_stopped ? std::nullopt : std::optional(own.result(data));
  Lists lists = own.counted();
  lists.push_back({is_stopped ? 1.0 : 0.0});
  bool stops = false;
  for (const std::string& bytes : ranks.gather(packed(lists))) {
    Lists others = unpacked(bytes);
    stops = stops || others.back().front() != 0;
    others.pop_back();
    all.count_in(others);
  }
  return stops ? std::nullopt : std::optional(all.result(data));
}

}  // namespace

std::optional<Evaluation> evaluate(const TrainingTask& task, const Dataset& data,
                                   const TrainConfig& training, const std::atomic<bool>& stop) {
  TrainConfig config = training;
  config.batch_size = training.eval_batch_size.value_or(training.batch_size);
  const bool drops_last = leaves_out_last(data, task.inputs, task.guards, config.batch_size);
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  const at::NoGradGuard no_grad;

  const std::vector<LossSettings> losses = loss_settings(config, task.objectives);
  EvaluationTally own(losses, config, task.objectives);
  Ranks& ranks = *task.ranks;
  bool is_first = true;
  bool is_stopped = false;
  int turn = 0;
  for (const auto& rows : epoch_batches(data, config, false, 0, drops_last)) {
    if (turn++ % ranks.count() != ranks.rank()) continue;
    is_stopped = stop;
    if (is_stopped) break;
    const Batch batch = take_batch(data, rows);
    const std::vector<at::Tensor> outputs = task.forward(batch.inputs, false);
    if (is_first) {
      is_first = false;
      const auto classes = count_classes(losses.front(), outputs, batch.target);
      if (classes) check_classes(data, *classes);
    }
    own.add(batch, outputs);
  }
  EvaluationTally all(losses, config, task.objectives);
  auto evaluation = joined(ranks, own, all, data, is_stopped);
  if (evaluation) evaluation->rows_left_out = rows_left_out(data, drops_last, config.batch_size);
  return evaluation;
}

Evaluation evaluate(const TrainingTask& task, const Dataset& data, const TrainConfig& config) {
  const std::atomic<bool> never{false};
  return *evaluate(task, data, config, never);
}

}  // namespace tenon
