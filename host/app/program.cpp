#include "app/program.h"

#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/command_line.h"
#include "app/commands.h"
#include "app/ranked_program.h"
#include "app/signals.h"
#include "base/error.h"
#include "base/file_watch.h"
#include "base/log.h"
#include "base/printable.h"

namespace tenon {
namespace {

// The verbs that several processes share.
RankedVerb ranked_verb(const std::string& name) {
  if (name == "run") return run_command;
  if (name == "predict") return predict_command;
  if (name == "eval") return eval_command;
  return nullptr;
}

// The exit status.
int run_verb(const CommandLine& line) {
  if (line.verb == "init") init_command(line);
  if (line.verb == "schema") schema_command(line);
  if (line.verb == "plan") plan_command(line);
  if (line.verb == "tree") tree_command(line);
  if (line.verb == "plugins") plugins_command(line);
  if (line.verb == "report") report_command(line);
  if (line.verb == "merge") merge_command(line);
  if (line.verb == "quantize") quantize_command(line);
  if (line.verb == "inspect") inspect_command(line);
  if (line.verb == "adapter combine") adapter_combine_command(line);
  if (line.verb == "adapter convert") adapter_convert_command(line);
  if (line.verb == "adapter diff") adapter_diff_command(line);
  if (line.verb == "adapter status") adapter_status_command(line);
  if (line.verb == "doctor") doctor_command(line);
  if (line.verb == "plugin new") plugin_new_command(line);
  if (line.verb == "plugin install") plugin_install_command(line);
  if (line.verb == "plugin remove") plugin_remove_command(line);
  if (line.verb == "plugin list") plugin_list_command(line);
  if (line.verb == "plugin update") plugin_update_command(line);
  if (line.verb == "plugin trust") plugin_trust_command(line);
  if (line.verb == "plugin index") plugin_index_command(line);
  if (line.verb == "plugin check") return plugin_check_command(line) ? 0 : 1;
  return 0;
}

// Of a message that lists thousands of names, the start says enough.
constexpr std::size_t kMostText = 8000;

int report(const Error& error, bool json) {
  const Failure& failure = error.failure();
  if (json) {
    const auto text = [](const std::string& value) {
      return value.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(value);
    };
    const nlohmann::ordered_json out{{"error",
                                      {{"stage", stage_name(failure.stage)},
                                       {"message", printable_excerpt(failure.message, kMostText)},
                                       {"hint", text(printable_excerpt(failure.hint, kMostText))},
                                       {"location", text(failure.location)}}}};
    std::cout << out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
  } else {
    log::error(error.what());
  }
  return error.exit_status();
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  const PrintableStream printable_output(std::cout);
  survive_lost_files();
  bool json = false;  // known before parsing, so that a bad command line is answered in JSON too
  for (int i = 1; i < argc; ++i) json = json || std::strcmp(argv[i], "--json") == 0;
  handle_signals(json);
  log::configure(log::Level::kInfo);
  try {
    const auto line = parse_command_line(argc, argv);
    if (!line) return 0;
    log::configure(line->quiet     ? log::Level::kError
                   : line->verbose ? log::Level::kDebug
                                   : log::Level::kInfo);
    const RankedVerb ranked = ranked_verb(line->verb);
    return ranked ? run_on_ranks(*line, {argv, argv + argc}, ranked, report) : run_verb(*line);
  } catch (...) {
    return report(current_error(), json);
  }
}

}  // namespace tenon
