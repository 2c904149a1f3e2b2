#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "check/rules.h"

namespace tenon {

// All rules of a loss, or of a metric, that the file offers under the name, each with what was
// found or why it could not be tried. In child processes.
Findings check_loss(const std::filesystem::path& file, const std::string& name,
                    std::chrono::milliseconds time_limit);
Findings check_metric(const std::filesystem::path& file, const std::string& name,
                      std::chrono::milliseconds time_limit);

}  // namespace tenon
