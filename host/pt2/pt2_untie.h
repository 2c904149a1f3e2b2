#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pt2/pt2_writer.h"

namespace tenon::pt2 {

// The program's JSON (models/model.json) with each tied change read through an input of its own.
// An exporter gives tied names one input, or several of which the operators read only one.
std::string untied_program(std::string_view json, const std::vector<TensorChange>& changes);

}  // namespace tenon::pt2
