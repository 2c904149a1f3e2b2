#pragma once

#include <memory>

#include "app/command_line.h"
#include "ranks/ranks.h"

// One function for each verb; each throws Error on failure and prints its answer on standard
// output.
namespace tenon {

// Those that several processes share: their exit status, 0 or that of a signal, at which `run`
// finishes the step at hand and saves.
int run_command(const CommandLine& line, const std::shared_ptr<Ranks>& ranks);
int predict_command(const CommandLine& line, const std::shared_ptr<Ranks>& ranks);
int eval_command(const CommandLine& line, const std::shared_ptr<Ranks>& ranks);
void init_command(const CommandLine& line);
void schema_command(const CommandLine& line);
void plan_command(const CommandLine& line);
void tree_command(const CommandLine& line);
void plugins_command(const CommandLine& line);
void report_command(const CommandLine& line);
void merge_command(const CommandLine& line);
void quantize_command(const CommandLine& line);
void inspect_command(const CommandLine& line);
void adapter_combine_command(const CommandLine& line);
void adapter_convert_command(const CommandLine& line);
void adapter_diff_command(const CommandLine& line);
void adapter_status_command(const CommandLine& line);
void doctor_command(const CommandLine& line);
void plugin_new_command(const CommandLine& line);
void plugin_install_command(const CommandLine& line);
void plugin_remove_command(const CommandLine& line);
void plugin_list_command(const CommandLine& line);
void plugin_update_command(const CommandLine& line);
void plugin_trust_command(const CommandLine& line);
void plugin_index_command(const CommandLine& line);
// Whether the plugin passes; if not, the exit status is 1.
bool plugin_check_command(const CommandLine& line);

}  // namespace tenon
