#pragma once

#include <tenon/status.h>
#include <tenon/tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tenon {

// One call of a function of the plugin: what it borrows, and what must be as it was when it
// returns.
class WatchedCall {
 public:
  WatchedCall(std::string function, std::vector<const void*> borrowed);
  ~WatchedCall();
  WatchedCall(const WatchedCall&) = delete;
  WatchedCall& operator=(const WatchedCall&) = delete;

  // Calls it; an exception becomes TENON_INTERNAL with a text. Reports rules no-exceptions and
  // says-why.
  tenon_status run(const std::function<tenon_status()>& body, tenon_error* error);
  // After the outputs have been taken: reports rules handles, no-grad and no-threads.
  void finish();

 private:
  std::string function_;
  std::vector<const void*> borrowed_;
  std::uint64_t moment_;
  std::size_t threads_;
  bool recorded_gradients_;
};

// Owned handles that a function wrote, checked and handed on as the host's own. `optional`: NULL is
// a fine answer.
void take_outputs(const std::string& function, tenon_status status, bool optional,
                  const std::vector<tenon_tensor>& written, tenon_tensor* outputs);

}  // namespace tenon
