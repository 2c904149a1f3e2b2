#include "capture/module_state.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <mutex>

namespace tenon {

ModuleState::ModuleState(const WalkedModule& model) : model_(model) {
  for (const torch::nn::Module* module : model.modules) training_.push_back(module->is_training());
  for (const ModelTensor& tensor : model.tensors) {
    if (tensor.kind != ValueKind::kBuffer) continue;
    buffers_.emplace_back(tensor.tensor, tensor.tensor.detach().clone());
  }
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  random_state_ = generator.get_state();
}

ModuleState::~ModuleState() {
  reset();
  // train() also sets what lies below, so parents come first.
  for (std::size_t i = 0; i < training_.size(); ++i) model_.modules[i]->train(training_[i]);
}

void ModuleState::set_training(bool training) { model_.modules.front()->train(training); }

void ModuleState::reset() {
  const at::NoGradGuard no_grad;
  for (const auto& [buffer, copy] : buffers_) {
    const at::Tensor destination = buffer;
    destination.copy_(copy);
  }
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(random_state_);
}

}  // namespace tenon
