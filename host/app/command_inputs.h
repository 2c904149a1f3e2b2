#pragma once

#include <memory>
#include <vector>

#include "app/command_line.h"
#include "base/output_folder.h"
#include "base/output_place.h"
#include "config/run_config.h"

namespace tenon {

// Every file and folder that a command reads, so that it writes over none of them.
std::vector<InputPath> command_inputs(const CommandLine& line, const RunConfig& config);

// Throws Error{output.stage} where the files of an adapter's folder would replace what the command
// reads.
void require_no_input_in_folder(const OutputPath& folder, const std::vector<InputPath>& inputs);

// The folder of --output for an adapter, before anything is loaded.
std::unique_ptr<OutputFolder> reserve_output(const CommandLine& line, const RunConfig& config);

}  // namespace tenon
