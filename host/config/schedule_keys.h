#pragma once

#include "config/run_config.h"
#include "config/section_reader.h"

namespace tenon {

// lr_scheduler_type, lr_scheduler_kwargs and warmup_steps of [train].
void read_schedule_keys(SectionReader& section, TrainConfig& train);

}  // namespace tenon
