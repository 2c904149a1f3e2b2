#include "app/thread_check.h"

#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "base/error.h"

namespace tenon {

void require_threads(int count) {
  std::vector<std::thread> threads;
  std::string problem;
  try {
    for (int i = 1; i < count; ++i) threads.emplace_back([] {});
  } catch (const std::system_error& error) {
    problem = error.what();
  }
  for (std::thread& thread : threads) thread.join();
  if (problem.empty()) return;
  throw Error(
      {.stage = Stage::kTraining,
       .message = std::to_string(count) + " threads cannot be made: " + problem,
       .hint = "set [train] threads to fewer, or raise the limit of processes (ulimit -u)"});
}

}  // namespace tenon
