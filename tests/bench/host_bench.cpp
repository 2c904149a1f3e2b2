// What tests/bench times inside a process, without any start of one. Prints one JSON object.
//
//   host_bench forward MODEL.pt2 INPUTS.safetensors   forward, and forward with the gradient of all
//                                                     parameters
//   host_bench operator                               an operator of a graph, without its kernel
//   host_bench adapter CONFIG.toml ADAPTER_DIR        putting an adapter on a model, and running it

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adapted/adapted_model.h"
#include "base/error.h"
#include "capture/plugin_model.h"
#include "config/toml_reader.h"
#include "data/data_source.h"
#include "model/tensor_file.h"
#include "operations/adapter_stages.h"
#include "plan/injection_plan.h"

namespace tenon {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double milliseconds(const std::function<void()>& action) {
  const Clock::time_point start = Clock::now();
  action();
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Over half a second of runs, and ten at least, after three that do not count.
double median_ms(const std::function<void()>& action) {
  constexpr double kEnoughMs = 500;
  constexpr std::size_t kFewest = 10;
  for (int i = 0; i < 3; ++i) action();
  std::vector<double> times;
  for (double spent = 0; spent < kEnoughMs || times.size() < kFewest; spent += times.back()) {
    times.push_back(milliseconds(action));
  }
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

Json time_forward(const std::string& model_file, const std::string& input_file) {
  ModelConfig config;
  config.path = model_file;
  ModelData data;
  const double load_ms = milliseconds([&] { data = load_model(config, PluginRegistry({}, {})); });
  const std::size_t nodes = data.graph.nodes.size();
  const std::vector<at::Tensor> inputs = read_inputs(input_file, DataConfig{}, data.inputs);
  AdaptedModel model(std::move(data));
  Json out{{"nodes", nodes}, {"load_ms", load_ms}};
  {
    const at::NoGradGuard no_grad;
    out["forward_ms"] = median_ms([&] { model.forward(inputs, {}); });
  }
  model.train_base();
  const std::vector<at::Tensor> parameters = model.trainable();
  out["gradient_ms"] = median_ms([&] {
    model.forward(inputs, {})[0].to(at::kFloat).square().mean().backward();
    for (const at::Tensor& parameter : parameters) parameter.mutable_grad() = at::Tensor();
  });
  return out;
}

constexpr std::int32_t kOperators = 1000;

// x -> -x -> x ... on one number, so that the operator itself is as short as they come.
Graph negations() {
  Graph graph;
  graph.values.push_back({"x", ValueKind::kInput, -1, false});
  for (std::int32_t i = 0; i < kOperators; ++i) {
    graph.values.push_back({"neg_" + std::to_string(i), ValueKind::kIntermediate, -1, false});
    Node node;
    node.target = "aten::neg";
    node.arguments = {{"self", {i}}};
    node.results = {{false, {i + 1}}};
    graph.nodes.push_back(std::move(node));
  }
  graph.inputs = {0};
  graph.outputs = {{kOperators}};
  return graph;
}

double us_over_plain_calls(bool with_gradient) {
  const Program program(negations(), {});
  const at::Tensor x = at::ones({1}).requires_grad_(with_gradient);
  const at::AutoGradMode mode(with_gradient);
  const double ours = median_ms([&] { program.run({x}, {}); });
  const double plain = median_ms([&] {
    at::Tensor y = x;
    for (std::int32_t i = 0; i < kOperators; ++i) y = at::neg(y);
  });
  return 1e3 * (ours - plain) / kOperators;
}

Json time_operator() {
  return {{"without_gradient_us", us_over_plain_calls(false)},
          {"with_gradient_us", us_over_plain_calls(true)}};
}

std::unique_ptr<AdapterInstance> placed(const AdaptedModel& model, const AdapterFiles& files,
                                        const PluginRegistry& plugins) {
  return place_adapter(model.model(),
                       plan_injection(model.model(), files.config, plugins, files.layers), 0);
}

// The first batch of a config's training data.
std::vector<at::Tensor> first_batch(const RunConfig& config, const ModelData& model) {
  std::vector<at::Tensor> inputs =
      read_inputs(config.data->train.front(), *config.data, model.inputs);
  for (at::Tensor& input : inputs) input = input.narrow(0, 0, config.train->batch_size);
  return inputs;
}

Json time_adapter(const std::string& config_file, const std::string& folder) {
  const RunConfig config = read_run_config(config_file, {}, {.training = true});
  const PluginRegistry plugins(config.plugins, {});
  ModelData data = load_model(config.model, plugins);
  const std::vector<at::Tensor> inputs = first_batch(config, data);
  AdaptedModel model(std::move(data));
  const at::NoGradGuard no_grad;
  Json out{{"base_ms", median_ms([&] { model.forward(inputs, {}); })}};

  AdapterFiles files = load_adapter(folder);
  out["inject_ms"] = milliseconds([&] { model.add_adapter(placed(model, files, plugins)); });
  out["load_ms"] = milliseconds([&] {
    files = load_adapter(folder);
    assign_adapter(files, adapter_tensors(model.adapter()), folder);
  });
  out["adapted_ms"] = median_ms([&] { model.forward(inputs, {}); });
  std::unique_ptr<AdapterInstance> other = placed(model, files, plugins);
  assign_adapter(files, adapter_tensors(*other), folder);
  out["swap_us"] = 1e3 * median_ms([&] { other = model.swap_adapter(std::move(other)); });
  model.merge(model.adapter_names());
  out["merged_ms"] = median_ms([&] { model.forward(inputs, {}); });
  return out;
}

}  // namespace
}  // namespace tenon

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  try {
    if (arguments.size() == 3 && arguments[0] == "forward") {
      std::cout << tenon::time_forward(arguments[1], arguments[2]) << "\n";
    } else if (arguments.size() == 1 && arguments[0] == "operator") {
      std::cout << tenon::time_operator() << "\n";
    } else if (arguments.size() == 3 && arguments[0] == "adapter") {
      std::cout << tenon::time_adapter(arguments[1], arguments[2]) << "\n";
    } else {
      std::cerr << "usage: host_bench forward MODEL INPUTS | operator | adapter CONFIG ADAPTER\n";
      return 2;
    }
  } catch (const tenon::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
