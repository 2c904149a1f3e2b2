#pragma once

#include "adapted/adapted_model.h"
#include "train/trainer.h"

namespace tenon {

// What `config` changes in the training forwards themselves: modules whose gradient runs them once
// more, noise on the input embedding. Throws Error{kInjection} for a module that cannot do it.
void prepare_forwards(AdaptedModel& model, const TrainConfig& config);

// What `config` trains of the model, and how it runs meanwhile. Borrows the model.
TrainingTask training_task(const AdaptedModel& model, const TrainConfig& config,
                           Objectives objectives = {});

}  // namespace tenon
