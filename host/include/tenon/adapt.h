// Adapters on a model in a program of your own:
//
//   auto adapted = tenon::adapt(model, {example_input}, config);
//   torch::optim::AdamW optimizer(adapted.parameters());
//   ... adapted.forward({x}) ... optimizer.step() ...
//   adapted.save("adapter");
//   adapted.merge_into_model();  // model->forward now gives the adapted output
//
// Whatever fails throws tenon::Error, which says what, where and what to do.
#pragma once

#include <tenon/callable_model.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "config/adapter_config.h"
#include "config/train_config.h"
#include "inject/adapter_status.h"

namespace tenon {

// What to adapt and how: a struct, or a TOML file with the sections [adapter] and [plugins].
class Config {
 public:
  Config(AdapterConfig adapter) : source_(std::move(adapter)) {}             // NOLINT
  Config(std::filesystem::path file) : source_(std::move(file)) {}           // NOLINT
  Config(const char* file) : source_(std::filesystem::path(file)) {}         // NOLINT
  Config(const std::string& file) : source_(std::filesystem::path(file)) {}  // NOLINT
  const std::variant<AdapterConfig, std::filesystem::path>& source() const { return source_; }

 private:
  std::variant<AdapterConfig, std::filesystem::path> source_;
};

struct AdaptOptions {
  std::vector<std::filesystem::path> plugin_directories = {};  // before all other places
  std::uint64_t seed = 0;                                      // starts the adapter's parameters
  bool fixed_sizes = false;  // of a C++ model: only for inputs of the example's sizes
  // What init_lora_weights = "eva" and "corda" start from: one tensor for each of the model's
  // inputs, examples in dimension 0, which the base runs on in batches of this size.
  std::vector<at::Tensor> start_inputs = {};
  std::int64_t start_batch_size = 32;
};

struct AdaptedState;
struct TrainReport;
struct TrainRows;

// A model with an adapter on it. The base is frozen and shared with the user's model, whose own
// forward stays as it was until merge_into_model. Copies are the same object.
class AdaptedModule {
 public:
  explicit AdaptedModule(std::shared_ptr<AdaptedState> state);

  // The defined tensors of the output, in order.
  std::vector<at::Tensor> run(const std::vector<at::Tensor>& inputs) const;

  // What an optimizer trains.
  std::vector<at::Tensor> parameters() const;
  // "seq.0.lora_A.weight" and its like.
  std::vector<std::pair<std::string, at::Tensor>> named_parameters() const;

  // At first the mode of the user's model; an exported program's is evaluation. BatchNorm's
  // statistics are used and not updated, unless `batch_norm`.
  void train(bool on = true, bool batch_norm = false);
  void eval() { train(false); }
  bool is_training() const;

  // Writes the adapter's folder, as PEFT does.
  void save(const std::filesystem::path& folder, bool force = false);

  // Folds the adapter into the user's model's own weights, and takes it out again, bit for bit.
  void merge_into_model();
  void unmerge_from_model();

  std::vector<std::string> targeted_module_names() const;
  // What is on each layer: plugin, adapters, whether active, merged and trained, dtype, device.
  ModelStatus status() const;
  // "trainable params: 52,162 || all params: ...", as PEFT prints it.
  std::string trainable_parameters() const;
  // What the user should know: sizes that are fixed, layers that were skipped.
  const std::vector<std::string>& notes() const;

 private:
  friend TrainReport train(AdaptedModule& model, const TrainRows& rows, const TrainConfig& config);

  std::shared_ptr<AdaptedState> state_;
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

  Output forward(const std::vector<at::Tensor>& inputs) const {
    std::vector<at::Tensor> tensors = run(inputs);
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

struct TrainReport {
  std::vector<double> losses;  // of each step
  std::vector<double> learning_rates;
  std::vector<double> grad_norms;  // where max_grad_norm is set
};

// Trains the adapter as `tenon run` does by the keys of [train]: losses, optimizers, schedules,
// clipping. What it says of evaluations is left alone. A loss that is not finite is an error; the
// adapter is then as it was when the loss was last finite.
TrainReport train(AdaptedModule& model, const TrainRows& rows, const TrainConfig& config);

namespace detail {
std::shared_ptr<AdaptedState> adapt_module(const CallableModel& model, const Config& config,
                                           const AdaptOptions& options);
std::shared_ptr<AdaptedState> adapt_program(const std::filesystem::path& file, const Config& config,
                                            const AdaptOptions& options);
}  // namespace detail

// A C++ model and what calls its forward: `forward(x)` or `forward(x, y)`, with as many tensors as
// there are examples.
template <typename Model, typename Forward>
requires(detail::fewest_inputs<std::decay_t<Forward>>() <=
         detail::kMostInputs) auto adapt(Model&& model, Forward forward,
                                         std::vector<at::Tensor> examples, const Config& config,
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
    const std::vector<at::Tensor>& inputs) const {
  return run(inputs);
}

// A program that torch.export saved.
inline Adapted<std::vector<at::Tensor>> adapt_program(const std::filesystem::path& file,
                                                      const Config& config,
                                                      const AdaptOptions& options = {}) {
  return {detail::adapt_program(file, config, options), {}};
}

}  // namespace tenon
