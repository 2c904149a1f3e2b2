#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tenon {

// Where the time of training steps went: means over all steps, in milliseconds.
struct StepProfile {
  struct LayerType {
    std::string title;
    std::int64_t calls = 0;  // in a step
    double forward_ms = 0;   // the base's operators in it included, as a plugin may fuse the two
    double backward_ms = 0;
  };

  std::int64_t steps = 0;
  double step_ms = 0;
  double data_ms = 0;
  double base_forward_ms = 0;  // outside adapted layers
  double base_backward_ms = 0;
  double loss_ms = 0;
  double optimizer_ms = 0;
  std::vector<LayerType> layers;  // the slowest first
  double other_ms = 0;            // checks, copies, autograd's own work
};

// Watches the training steps of the thread that makes it, while it lives (named_scope.h; the
// gradient's nodes are told apart by when the forward made them). It slows the steps a little.
class Profiler {
 public:
  // `layer_types`: the path of each adapted layer to the title that it is counted under.
  explicit Profiler(std::map<std::string, std::string> layer_types);
  ~Profiler();
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  StepProfile profile() const;

 private:
  struct Watch;
  std::unique_ptr<Watch> watch_;
};

}  // namespace tenon
