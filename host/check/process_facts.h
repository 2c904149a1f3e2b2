#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace tenon {

// Threads of this process.
std::size_t thread_count();

// Whether this process has started others that have not been waited for.
bool has_children();

// What all code in a process shares, as it is when this is made: its working folder, and what its
// standard input, output and error lead to.
class ProcessState {
 public:
  ProcessState();
  // What is another now: "it closed standard output"; "" if nothing.
  std::string changed() const;

 private:
  using File = std::pair<std::uint64_t, std::uint64_t>;  // its device and number; of none, zeros
  static File file_of(int descriptor);

  std::string folder_;
  std::array<File, 3> streams_;
};

}  // namespace tenon
