#include "app/program.h"

#include <c10/util/Exception.h>

#include <cstring>
#include <iostream>
#include <new>
#include <nlohmann/json.hpp>

#include "app/command_line.h"
#include "app/commands.h"
#include "app/signals.h"
#include "base/error.h"
#include "base/file_watch.h"
#include "base/log.h"
#include "base/printable.h"

namespace tenon {
namespace {

// The exit status.
int run_verb(const CommandLine& line) {
  log::configure(line.quiet     ? log::Level::kError
                 : line.verbose ? log::Level::kDebug
                                : log::Level::kInfo);
  if (line.verb == "run") return run_command(line);
  if (line.verb == "init") init_command(line);
  if (line.verb == "schema") schema_command(line);
  if (line.verb == "plan") plan_command(line);
  if (line.verb == "tree") tree_command(line);
  if (line.verb == "plugins") plugins_command(line);
  if (line.verb == "predict") predict_command(line);
  if (line.verb == "eval") eval_command(line);
  if (line.verb == "report") report_command(line);
  if (line.verb == "merge") merge_command(line);
  if (line.verb == "inspect") inspect_command(line);
  if (line.verb == "adapter combine") adapter_combine_command(line);
  if (line.verb == "adapter convert") adapter_convert_command(line);
  if (line.verb == "adapter diff") adapter_diff_command(line);
  if (line.verb == "adapter status") adapter_status_command(line);
  if (line.verb == "doctor") doctor_command(line);
  if (line.verb == "plugin new") plugin_new_command(line);
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
    return line ? run_verb(*line) : 0;
  } catch (const Error& error) {
    return report(error, json);
  } catch (const c10::Error& error) {
    return report(Error({.stage = Stage::kInternal,
                         .message = std::string("LibTorch: ") + error.what_without_backtrace()}),
                  json);
  } catch (const std::bad_alloc&) {
    return report(Error({.stage = Stage::kInternal,
                         .message = "there is not enough memory",
                         .hint = "use smaller batches or a smaller model, or end other programs"}),
                  json);
  } catch (const std::exception& error) {
    return report(Error({.stage = Stage::kInternal, .message = error.what()}), json);
  }
}

}  // namespace tenon
