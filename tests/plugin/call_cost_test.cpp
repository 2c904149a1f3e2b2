#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <limits>
#include <string>
#include <variant>

#include "plugin/layer_type.h"
#include "plugin/plugin_library.h"
#include "plugin/plugin_registry.h"

namespace tenon {
namespace {

// Nanoseconds of one call, of the fastest of many short batches, so that other work on the machine
// does not count.
double call_cost(const LayerType& layer_type, const LayerFacts& facts, const tenon_call& call) {
  constexpr int kCalls = 500;
  double best = std::numeric_limits<double>::infinity();
  for (int batch = 0; batch < 200; ++batch) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) layer_type.forward(facts, call);
    const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
    best = std::min(best, spent.count() / kCalls);
  }
  return best;
}

TEST(CallCost, ThereAndBackWithoutOperatorsTakesUnder200Nanoseconds) {
  const auto result = load_library(TENON_ECHO_PLUGIN, {});
  ASSERT_TRUE(std::holds_alternative<LoadedLibrary>(result))
      << std::get<PluginRefusal>(result).reason;
  const PluginInfo plugin{};
  const LayerType echo(*std::get<LoadedLibrary>(result).plugin.layer_types[0], plugin);
  const LayerFacts facts({.type = "torch.nn.Identity",
                          .module_path = "echo",
                          .operator_name = "",
                          .weights = {},
                          .attributes = {},
                          .n_inputs = 1,
                          .n_outputs = 1});
  const at::Tensor input = at::ones({2, 3});
  const tenon_tensor inputs[] = {to_handle(input)};
  const at::Tensor parameter = at::zeros({1});
  const tenon_tensor parameters[] = {to_handle(parameter)};
  tenon_adapter adapter{};
  adapter.struct_size = sizeof adapter;
  adapter.n_params = 1;
  adapter.params = parameters;
  const tenon_adapter* adapters[] = {&adapter};
  tenon_call call{};
  call.struct_size = sizeof call;
  call.inputs = inputs;
  call.adapters = adapters;
  call.n_inputs = 1;
  call.n_adapters = 1;
  call.n_outputs = 1;

  ASSERT_TRUE(echo.forward(facts, call)[0].is_same(input));
  const double cost = call_cost(echo, facts, call);
  RecordProperty("nanoseconds", std::to_string(cost));
  std::cout << "a call takes " << cost << " ns\n";
  EXPECT_LT(cost, 200);
}

}  // namespace
}  // namespace tenon
