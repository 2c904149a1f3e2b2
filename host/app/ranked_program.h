#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/command_line.h"
#include "base/error.h"
#include "ranks/ranks.h"

namespace tenon {

// What a verb does as one of several processes; its exit status.
using RankedVerb = std::function<int(const CommandLine& line, const std::shared_ptr<Ranks>& ranks)>;
// Tells the user of a failure; the exit status.
using Reporter = std::function<int(const Error& error, bool json)>;

// Runs a verb in this process alone, or as one of the processes that a launcher started, as the
// environment says it, or starts them itself for --processes. `arguments`: this program's.
int run_on_ranks(const CommandLine& line, const std::vector<std::string>& arguments,
                 const RankedVerb& verb, const Reporter& report);

// The exception that is being handled, as an Error.
Error current_error();

}  // namespace tenon
