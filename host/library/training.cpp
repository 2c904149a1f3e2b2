// tenon::train, and what a training loop of one's own asks for.
#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "library/adapted_state.h"
#include "library/guarded.h"
#include "objectives/loss.h"
#include "objectives/objectives.h"
#include "train/parameter_role.h"
#include "train/trainer.h"
#include "train/training_task.h"

namespace tenon {
namespace {

Dataset dataset(const TrainRows& rows, const ModelData& model) {
  Dataset data;
  data.inputs = rows.inputs;
  data.source = "TrainRows";
  data.target_name = "target";
  if (rows.target.defined()) data.target = rows.target;
  if (rows.weights.defined()) data.weights = rows.weights.to(at::kDouble);
  data.rows = rows.inputs.empty() || rows.inputs[0].dim() == 0 ? 0 : rows.inputs[0].size(0);
  for (const InputSpec& input : model.inputs) data.input_names.push_back(input.name);
  return data;
}

// Takes the noise on the embedding away again, however the training ends.
class NoiseOfOneTraining {
 public:
  explicit NoiseOfOneTraining(AdaptedState& state) : state_(state) {}
  NoiseOfOneTraining(const NoiseOfOneTraining&) = delete;
  NoiseOfOneTraining& operator=(const NoiseOfOneTraining&) = delete;
  ~NoiseOfOneTraining() {
    const std::scoped_lock lock(state_.changes);
    state_.model.add_noise(std::nullopt);
  }

 private:
  AdaptedState& state_;
};

}  // namespace

namespace detail {

TrainReport train_adapted(AdaptedModule& module, const TrainRows& rows, const Config& config,
                          const std::function<bool(const TrainStep&)>& go_on) {
  AdaptedState& state = *module.state_;
  std::exception_ptr thrown;  // by the caller's function: it is passed on as it is
  std::atomic<bool> stop{false};
  TrainingEvents events;
  events.step = [&](const StepProgress& progress) {
    if (!go_on) return;
    try {
      if (!go_on({.step = progress.step,
                  .steps = progress.steps,
                  .epoch = progress.epoch,
                  .loss = progress.loss,
                  .learning_rate = progress.learning_rate})) {
        stop = true;
      }
    } catch (...) {
      thrown = std::current_exception();
      stop = true;
    }
  };
  TrainingResult result = guarded(Stage::kTraining, "train", [&] {
    TrainConfig settings = *read_train_config(config).train;
    const Objectives objectives = find_objectives(settings, state.plugins);
    const Dataset data = dataset(rows, state.model.model());
    if (data.target) balance_classes(settings, *data.target);
    {
      const std::scoped_lock lock(state.changes);
      prepare_forwards(state.model, settings);
    }
    if (settings.batch_norm == "train") state.has_trained_statistics = true;
    const NoiseOfOneTraining noise(state);
    return train(training_task(state.model, settings, objectives), data, settings, events, stop);
  });
  if (thrown) std::rethrow_exception(thrown);
  if (result.failure) throw *result.failure;
  if (result.not_finite_step) {
    throw Error(
        {.stage = Stage::kTraining,
         .message = "the loss was not finite at step " + std::to_string(*result.not_finite_step),
         .hint = "lower learning_rate, or look for what is not finite in the rows"});
  }
  return {std::move(result.losses), std::move(result.learning_rates), std::move(result.grad_norms),
          result.interrupted};
}

}  // namespace detail

void AdaptedModule::train(bool on, bool batch_norm) {
  state_->is_training = on;
  state_->trains_batch_norm = on && batch_norm;
}

bool AdaptedModule::is_training() const { return state_->is_training; }

void AdaptedModule::checkpoint(const std::vector<std::string>& modules) {
  guarded(Stage::kInjection, "checkpoint the modules", [&] {
    const std::scoped_lock lock(state_->changes);
    state_->model.checkpoint(modules.empty() ? ModuleRule() : ModuleRule(modules));
  });
}

std::vector<ParameterGroup> AdaptedModule::parameter_groups(const GroupOptions& options) const {
  return guarded(Stage::kTraining, "group the parameters", [&] {
    const std::scoped_lock lock(state_->changes);
    const std::vector<at::Tensor> parameters = state_->model.trainable();
    const std::vector<ParameterRole> roles = parameter_roles(state_->model, parameters);
    std::vector<ParameterGroup> groups;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const ParameterRole& role = roles[i];
      const double ratio = role.is_up ? options.loraplus_lr_ratio : 1;
      const double base =
          role.is_embedding ? options.loraplus_lr_embedding : options.learning_rate * ratio;
      const double rate = base * role.learning_rate;
      const double decay = role.decays ? options.weight_decay * role.weight_decay : 0;
      const auto same = std::ranges::find_if(groups, [&](const ParameterGroup& group) {
        return group.learning_rate == rate && group.weight_decay == decay;
      });
      ParameterGroup& group =
          same == groups.end() ? groups.emplace_back(ParameterGroup{{}, rate, decay}) : *same;
      group.parameters.push_back(parameters[i]);
    }
    return groups;
  });
}

}  // namespace tenon
