#include "train/method_training.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/add.h>

#include <utility>

#include "base/error.h"
#include "plugin/host_table.h"
#include "plugin/plugin_registry.h"
#include "plugin/running_plugin.h"
#include "plugin/training_store.h"
#include "train/method_layers.h"

namespace tenon {
struct MethodTraining::Run {
  const Method* method = nullptr;
  std::string adapter;
  tenon_training_store store;
  MethodLayers layers;
  tenon_training_run view{};

  explicit Run(const AdapterInstance& placed)
      : method(placed.method), adapter(placed.config.name), layers(placed) {
    view.struct_size = sizeof view;
    view.n_layers = static_cast<std::uint32_t>(layers.views().size());
    view.adapter = adapter.c_str();
    view.layers = layers.views().data();
    view.store = &store;
  }

  void refresh(std::int64_t step, std::int64_t total_steps, bool with_gradients) {
    layers.refresh(with_gradients);
    view.step = step;
    view.total_steps = total_steps;
  }

  void require(tenon_status status, const char* function, const tenon_error& error) const {
    if (status == TENON_OK) return;
    const PluginInfo& plugin = method->plugin();
    throw Error({.stage = Stage::kTraining,
                 .message = error.text.empty() ? "plugin bug: " + method->name() + ": " + function +
                                                     " failed without a message"
                                               : error.text,
                 .hint = "the method comes from plugin " + plugin.id + " " + plugin.version + " (" +
                         plugin.path.string() + ")"});
  }
};

MethodTraining::MethodTraining(const AdaptedModel& model) {
  for (const std::string& name : model.adapter_names()) {
    const AdapterInstance& adapter = model.adapter(name);
    if (adapter.method == nullptr || adapter.method->training() == nullptr) continue;
    if (!adapter.config.trainable) continue;
    auto run = std::make_unique<Run>(adapter);
    if (run->view.n_layers > 0) runs_.push_back(std::move(run));
  }
}

MethodTraining::~MethodTraining() = default;

bool MethodTraining::is_empty() const { return runs_.empty(); }

void MethodTraining::before_step(std::int64_t step, std::int64_t total_steps) {
  const at::NoGradGuard no_grad;
  for (const auto& run : runs_) {
    const tenon_training& training = *run->method->training();
    if (training.before_step == nullptr) continue;
    run->refresh(step, total_steps, true);
    const RunningPlugin running(run->method->plugin().id.c_str(), "before_step");
    tenon_error error;
    const tenon_status status =
        training.before_step(run->method->self(), &host_table(), &run->view, &error);
    run->require(status, "before_step", error);
  }
}

void MethodTraining::after_step(std::int64_t step, std::int64_t total_steps) {
  const at::NoGradGuard no_grad;
  for (const auto& run : runs_) {
    const tenon_training& training = *run->method->training();
    if (training.after_step == nullptr) continue;
    run->refresh(step, total_steps, true);
    const RunningPlugin running(run->method->plugin().id.c_str(), "after_step");
    tenon_error error;
    const tenon_status status =
        training.after_step(run->method->self(), &host_table(), &run->view, &error);
    run->require(status, "after_step", error);
  }
}

at::Tensor MethodTraining::regulariser(std::int64_t step, std::int64_t total_steps) {
  at::Tensor sum;
  for (const auto& run : runs_) {
    const tenon_training& training = *run->method->training();
    if (training.regularise == nullptr) continue;
    run->refresh(step, total_steps, false);
    const RunningPlugin running(run->method->plugin().id.c_str(), "regularise");
    tenon_error error;
    tenon_tensor written = nullptr;
    const tenon_status status =
        training.regularise(run->method->self(), &host_table(), &run->view, &written, &error);
    const at::Tensor term = take_handle(written);
    run->require(status, "regularise", error);
    if (!term.defined()) continue;
    if (term.numel() != 1 || !term.is_floating_point()) {
      throw Error({.stage = Stage::kTraining,
                   .message = "plugin bug: " + run->method->name() +
                              ": regularise gave a tensor that is not one number"});
    }
    const at::Tensor number = term.reshape({});
    sum = sum.defined() ? at::add(sum, number) : number;
  }
  return sum;
}

std::vector<at::Tensor> MethodTraining::buffers() const {
  std::vector<at::Tensor> tensors;
  for (const auto& run : runs_) {
    for (std::size_t i = 0; i < run->layers.views().size(); ++i) {
      for (const at::Tensor& parameter : run->layers.parameters(i)) {
        if (!parameter.requires_grad()) tensors.push_back(parameter);
      }
    }
  }
  return tensors;
}

NamedTensors MethodTraining::state() const {
  NamedTensors all;
  for (const auto& run : runs_) {
    for (const auto& [name, tensor] : run->store.tensors) {
      all.emplace_back(run->adapter + "/" + name, tensor);
    }
  }
  return all;
}

void MethodTraining::restore(const NamedTensors& state) {
  for (const auto& run : runs_) {
    run->store.tensors.clear();
    const std::string prefix = run->adapter + "/";
    for (const auto& [name, tensor] : state) {
      if (name.starts_with(prefix)) run->store.tensors.emplace(name.substr(prefix.size()), tensor);
    }
  }
}

}  // namespace tenon
