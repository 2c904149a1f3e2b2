// Adapters on a model in a program of your own:
//
//   auto adapted = tenon::adapt(model, {example_input}, {{"target_modules", {"0", "2"}}});
//   torch::optim::AdamW optimizer(adapted.parameters());
//   ... adapted.forward({x}) ... optimizer.step() ...
//   adapted.save("adapter");
//   adapted.merge_into_model();  // model->forward now gives the adapted output
//
// Whatever fails throws tenon::Error and nothing else, which says what, where and what to do; what
// threw has changed nothing.
#pragma once

#include <tenon/adapted_module.h>
#include <tenon/callable_model.h>
#include <tenon/error.h>
#include <tenon/library_version.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tenon {

struct AdaptOptions {
  std::vector<std::filesystem::path> plugin_directories = {};  // before all other places
  std::uint64_t seed = 0;                                      // starts the adapter's parameters
  bool fixed_sizes = false;  // of a C++ model: only for inputs of the example's sizes
  // What init_lora_weights = "eva" and "corda" start from: one tensor for each of the model's
  // inputs, examples in dimension 0, which the base runs on in batches of this size.
  std::vector<at::Tensor> start_inputs = {};
  std::int64_t start_batch_size = 32;
};

// One whose forward gives what the model's own forward gives.
template <typename Output>
class Adapted : public AdaptedModule {
 public:
  Adapted(std::shared_ptr<AdaptedState> state, Output shape)
      : AdaptedModule(std::move(state)), shape_(std::move(shape)) {
    detail::visit_tensors(shape_, [&](at::Tensor& tensor) {
      is_defined_.push_back(tensor.defined());
      tensor = at::Tensor();
    });
  }

  Output forward(const std::vector<at::Tensor>& inputs, const ForwardOptions& options = {}) const {
    std::vector<at::Tensor> tensors = run(inputs, options);
    Output output = shape_;
    std::size_t place = 0;
    std::size_t next = 0;
    detail::visit_tensors(output, [&](at::Tensor& tensor) {
      if (is_defined_[place++]) tensor = std::move(tensors.at(next++));
    });
    return output;
  }

 private:
  Output shape_;  // without its tensors
  std::vector<bool> is_defined_;
};

// Rows to train on: one tensor for each of the model's inputs, and the target, rows in dimension 0.
struct TrainRows {
  std::vector<at::Tensor> inputs;
  at::Tensor target = {};   // not for the loss output
  at::Tensor weights = {};  // of the rows in the loss, if they differ
};

// After a step of the optimizer.
struct TrainStep {
  std::int64_t step = 0;   // from 1
  std::int64_t steps = 0;  // planned
  double epoch = 0;        // passes over the rows so far
  double loss = 0;
  double learning_rate = 0;
};

struct TrainReport {
  std::vector<double> losses;  // of each step
  std::vector<double> learning_rates;
  std::vector<double> grad_norms;  // where max_grad_norm is set
  bool stopped = false;            // by the callback
};

// Trains the adapter as `tenon run` does by the keys of [train]: losses, optimizers, schedules,
// clipping, checkpointing, autocast. Training ends before its last step where `go_on` gives false.
// What it throws is passed on, and the adapter stays as the last step left it. Keys of evaluations
// are refused: evaluate in `go_on`. A loss that is not finite is an error; the adapter is then as
// it was when the loss was last finite.
inline TrainReport train(AdaptedModule& model, const TrainRows& rows, const Config& config,
                         const std::function<bool(const TrainStep&)>& go_on = nullptr) {
  return detail::train_adapted(model, rows, config, go_on);
}

// What such a file holds, in memory. Copied: it may go when the call has returned.
struct ProgramBytes {
  const void* data = nullptr;
  std::size_t size = 0;
};

namespace detail {
std::shared_ptr<AdaptedState> adapt_module(const CallableModel& model, const Config& config,
                                           const AdaptOptions& options);
std::shared_ptr<AdaptedState> adapt_program(const std::filesystem::path& file, const Config& config,
                                            const AdaptOptions& options);
std::shared_ptr<AdaptedState> adapt_program(const ProgramBytes& bytes, const Config& config,
                                            const AdaptOptions& options);
std::shared_ptr<AdaptedState> adapt_model_plugin(const std::string& model,
                                                 const Table& model_options, const Config& config,
                                                 const AdaptOptions& options);
}  // namespace detail

// A C++ model and what calls its forward: `forward(x)` or `forward(x, y)`, with as many tensors as
// there are examples.
template <typename Model, typename Forward,
          std::enable_if_t<(detail::fewest_inputs<std::decay_t<Forward>>() <= detail::kMostInputs),
                           int> = 0>
auto adapt(Model&& model, Forward forward, std::vector<at::Tensor> examples, const Config& config,
           const AdaptOptions& options = {}) {
  using Output = detail::OutputOf<Forward>;
  const auto shape = std::make_shared<std::optional<Output>>();
  const CallableModel callable{detail::module_pointer(model),
                               detail::tensor_function(std::move(forward), shape),
                               std::move(examples)};
  std::shared_ptr<AdaptedState> state = detail::adapt_module(callable, config, options);
  return Adapted<Output>(std::move(state), std::move(**shape));
}

// A torch::nn::Module, its holder, or a shared pointer to it, unmodified.
template <typename Model>
auto adapt(Model&& model, std::vector<at::Tensor> examples, const Config& config,
           const AdaptOptions& options = {}) {
  const auto module = detail::module_pointer(model);
  auto forward = detail::forward_of(module.get());
  static_assert(detail::fewest_inputs<decltype(forward)>() <= detail::kMostInputs,
                "this model's forward does not take tensors alone: give a function that calls it");
  return adapt(model, std::move(forward), std::move(examples), config, options);
}

// A list needs no form to take; so are the outputs of an exported program.
template <>
inline std::vector<at::Tensor> Adapted<std::vector<at::Tensor>>::forward(
    const std::vector<at::Tensor>& inputs, const ForwardOptions& options) const {
  return run(inputs, options);
}

// A program that torch.export saved.
inline Adapted<std::vector<at::Tensor>> adapt_program(const std::filesystem::path& file,
                                                      const Config& config,
                                                      const AdaptOptions& options = {}) {
  return {detail::adapt_program(file, config, options), {}};
}
inline Adapted<std::vector<at::Tensor>> adapt_program(const ProgramBytes& bytes,
                                                      const Config& config,
                                                      const AdaptOptions& options = {}) {
  return {detail::adapt_program(bytes, config, options), {}};
}

// A C++ model that a plugin offers by this name, made with these options (as [model] plugin and
// [model.options]; see <tenon/model_plugin.h>).
inline Adapted<std::vector<at::Tensor>> adapt_model_plugin(const std::string& model,
                                                           const Table& model_options,
                                                           const Config& config,
                                                           const AdaptOptions& options = {}) {
  return {detail::adapt_model_plugin(model, model_options, config, options), {}};
}

}  // namespace tenon
