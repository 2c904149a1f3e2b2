#pragma once

#include "adapted/adapted_model.h"
#include "train/trainer.h"

namespace tenon {

// What `config` trains of the model, and how it runs meanwhile. Borrows the model.
TrainingTask training_task(const AdaptedModel& model, const TrainConfig& config,
                           Objectives objectives = {});

}  // namespace tenon
