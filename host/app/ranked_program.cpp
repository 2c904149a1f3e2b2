#include "app/ranked_program.h"

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <sys/prctl.h>

#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <new>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/path_problem.h"
#include "ranks/join.h"
#include "ranks/launch.h"
#include "ranks/local_launcher.h"

namespace tenon {
namespace {

// Until the config says it: torch.distributed's own.
constexpr double kMeetingSeconds = 1800;

// Rank 0 alone answers; the others are heard when they fail.
CommandLine line_of_rank(CommandLine line, int rank) {
  if (rank == 0) return line;
  line.json = false;
  line.quiet = true;
  log::configure(log::Level::kError);
  return line;
}

// torchrun tells its user what it finds in this file, and which rank failed first.
// `is_own`: not what another rank brought about, which was first.
void write_error_file(const std::string& message, bool is_own) {
  const auto file = environment()("TORCHELASTIC_ERROR_FILE");
  if (!file) return;
  const std::string time = std::to_string(std::time(nullptr) + (is_own ? 0 : 1));
  const nlohmann::json json = {
      {"message",
       {{"message", message}, {"extraInfo", {{"py_callstack", ""}, {"timestamp", time}}}}}};
  std::ofstream(*file) << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

void check_processes(const CommandLine& line, const Launch& launch) {
  if (line.processes == 0 || launch.launcher == kOwnLauncher) return;
  throw Error({.stage = Stage::kCommandLine,
               .message = "--processes " + std::to_string(line.processes) +
                          " is given to a process that " + launch.launcher + " started as one of " +
                          std::to_string(launch.count),
               .hint = "leave --processes out: the launcher says how many there are"});
}

void take_threads(const Launch& launch) {
  at::set_num_threads(threads_of_rank(launch, usable_cores(), environment()("OMP_NUM_THREADS")));
}

std::string description(const Launch& launch) {
  std::string text = "rank " + std::to_string(launch.rank) + " of " + std::to_string(launch.count) +
                     ", started by " + launch.launcher;
  if (launch.local_count < launch.count) {
    text += ", " + std::to_string(launch.local_count) + " on this machine";
  }
  const int threads = at::get_num_threads();
  return text + "; " + std::to_string(threads) + (threads == 1 ? " thread" : " threads") + " each";
}

Error with_rank(const Error& error, int rank) {
  Failure failure = error.failure();
  failure.message = "rank " + std::to_string(rank) + ": " + failure.message;
  return Error(std::move(failure));
}

int run_as_rank(const CommandLine& given, const Launch& launch, const RankedVerb& verb,
                const Reporter& report) {
  // A launcher that is gone ends nobody.
  if (launch.launcher == kOwnLauncher) ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  const CommandLine line = line_of_rank(given, launch.rank);
  take_threads(launch);
  std::shared_ptr<Ranks> ranks;
  try {
    ranks = join_ranks(launch, kMeetingSeconds);
    log::info(description(launch));
    const int status = verb(line, ranks);
    ranks->barrier();
    return status;
  } catch (...) {
    const Error error = current_error();
    write_error_file(error.what(), !ranks || ranks->is_together());
    const bool is_news = !ranks || ranks->note_failure(error.failure().message);
    const int status =
        is_news ? report(with_rank(error, launch.rank), line.json) : error.exit_status();
    if (ranks) ranks->leave();
    return status;
  }
}

}  // namespace

Error current_error() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const c10::Error& error) {
    return Error({.stage = Stage::kInternal,
                  .message = std::string("LibTorch: ") + error.what_without_backtrace()});
  } catch (const std::bad_alloc&) {
    return Error({.stage = Stage::kInternal,
                  .message = "there is not enough memory",
                  .hint = "use smaller batches or a smaller model, or end other programs"});
  } catch (const std::filesystem::filesystem_error& error) {
    return path_problem(error, Stage::kCommandLine);
  } catch (const std::exception& error) {
    return Error({.stage = Stage::kInternal, .message = error.what()});
  }
}

int run_on_ranks(const CommandLine& line, const std::vector<std::string>& arguments,
                 const RankedVerb& verb, const Reporter& report) {
  const auto launch = read_launch(environment());
  if (launch) {
    check_processes(line, *launch);
    return run_as_rank(line, *launch, verb, report);
  }
  if (line.processes > 1) return run_processes(static_cast<int>(line.processes), arguments);
  return verb(line, one_rank());
}

}  // namespace tenon
