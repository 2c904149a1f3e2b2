#pragma once

#include <tenon/model_status.h>

namespace tenon {

class AdaptedModel;

ModelStatus status_of(const AdaptedModel& model);

}  // namespace tenon
