#pragma once

#include <ATen/core/Generator.h>

#include <vector>

#include "capture/module_walk.h"

namespace tenon {

// Runs of a module leave no trace: its mode, its buffers and the random generator are put back at
// the end of this object's life, and the latter two by reset().
class ModuleState {
 public:
  explicit ModuleState(const WalkedModule& model);
  ~ModuleState();
  ModuleState(const ModuleState&) = delete;
  ModuleState& operator=(const ModuleState&) = delete;
  void set_training(bool training);
  void reset();

 private:
  const WalkedModule& model_;
  std::vector<bool> training_;
  std::vector<std::pair<at::Tensor, at::Tensor>> buffers_;  // each with its copy
  at::Tensor random_state_;
};

}  // namespace tenon
