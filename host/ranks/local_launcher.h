#pragma once

#include <string>
#include <vector>

namespace tenon {

// What `Launch::launcher` is of processes that are started here.
inline constexpr const char* kOwnLauncher = "--processes";

// Starts this program `count` times with `arguments`, as the ranks of one run on this machine,
// passes signals on to them and waits. A rank that fails ends them all. The exit status: that of
// the first that failed, 128 + signal where a signal ended it.
int run_processes(int count, const std::vector<std::string>& arguments);

}  // namespace tenon
