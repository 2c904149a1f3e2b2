#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "capture/captured_model.h"
#include "capture/model_cases.h"
#include "graph/subgraph.h"
#include "interpreter/interpreter.h"

namespace tenon {
namespace {

std::vector<Tensor> with_batch(const std::vector<Tensor>& examples, std::int64_t dimension,
                               std::int64_t size) {
  std::vector<Tensor> inputs;
  for (const Tensor& example : examples) {
    const Tensor rows = at::arange(size, at::kLong).remainder(example.size(dimension));
    Tensor input = example.index_select(dimension, rows);
    if (input.is_floating_point()) input = input + 0.125 * at::randn_like(input);
    inputs.push_back(input);
  }
  return inputs;
}

struct Result {
  std::vector<Tensor> outputs;
  std::vector<Tensor> gradients;
};

std::vector<ModelTensor> trained(const std::vector<ModelTensor>& tensors) {
  std::vector<ModelTensor> trained;
  for (const ModelTensor& tensor : tensors) {
    if (tensor.tensor.requires_grad()) trained.push_back(tensor);
  }
  return trained;
}

// Leaves the buffers as they were.
template <typename Forward>
Result run(const Forward& forward, const std::vector<Tensor>& inputs,
           const std::vector<ModelTensor>& tensors) {
  at::manual_seed(5);
  std::vector<std::pair<Tensor, Tensor>> buffers;
  for (const ModelTensor& tensor : tensors) {
    if (tensor.kind == ValueKind::kBuffer) {
      buffers.emplace_back(tensor.tensor, tensor.tensor.clone());
    }
  }
  Result result;
  std::vector<Tensor> roots;
  for (const Tensor& output : forward(inputs)) {
    if (!output.defined()) continue;
    result.outputs.push_back(output.clone());
    if (output.requires_grad()) roots.push_back(output.sin().sum());
  }
  std::vector<Tensor> parameters;
  for (const ModelTensor& tensor : trained(tensors)) parameters.push_back(tensor.tensor);
  result.gradients = torch::autograd::grad(roots, parameters, {}, false, false, true);
  for (const auto& [buffer, before] : buffers) buffer.copy_(before);
  return result;
}

class CapturedModels : public ::testing::TestWithParam<ModelCase> {};

// Batches that the capture never saw, in both modes.
TEST_P(CapturedModels, AreTheModelBitForBit) {
  const CallableModel model = GetParam().make();
  const CapturedModel captured = capture_model(model);
  if (GetParam().note.empty()) {
    EXPECT_THAT(captured.notes, ::testing::IsEmpty());
  } else {
    EXPECT_THAT(captured.notes, ::testing::ElementsAre(::testing::HasSubstr(GetParam().note)));
  }
  const Program program(captured.data.graph, captured.data.tensors);
  for (const bool training : {false, true}) {
    model.module->train(training);
    const auto replay = [&](const std::vector<Tensor>& inputs) {
      std::vector<Tensor> outputs;
      for (const c10::IValue& value :
           program.run({inputs.begin(), inputs.end()}, {training, training})) {
        outputs.push_back(value.isTensor() ? value.toTensor() : Tensor());
      }
      return outputs;
    };
    for (const std::int64_t batch : {2, 8, 13}) {
      const auto inputs = with_batch(model.examples, GetParam().batch_dimension, batch);
      const Result own = run(model.forward, inputs, captured.data.tensors);
      const Result copy = run(replay, inputs, captured.data.tensors);
      ASSERT_EQ(own.outputs.size(), copy.outputs.size());
      for (std::size_t i = 0; i < own.outputs.size(); ++i) {
        EXPECT_TRUE(at::equal(own.outputs[i], copy.outputs[i]))
            << "output " << i << " of " << batch;
      }
      for (std::size_t i = 0; i < own.gradients.size(); ++i) {
        ASSERT_EQ(own.gradients[i].defined(), copy.gradients[i].defined());
        if (!own.gradients[i].defined()) continue;
        EXPECT_TRUE(at::allclose(own.gradients[i], copy.gradients[i], 1e-5, 1e-7))
            << trained(captured.data.tensors)[i].name;
      }
    }
  }
}

TEST_P(CapturedModels, ShowWhichModulesRun) {
  const CapturedModel captured = capture_model(GetParam().make());
  std::vector<std::string> running = GetParam().adaptable;
  running.insert(running.end(), GetParam().unadaptable.begin(), GetParam().unadaptable.end());
  for (const std::string& path : running) {
    const ModuleId module = captured.data.tree.find(path);
    ASSERT_NE(module, kNoModule) << path;
    EXPECT_TRUE(captured.data.tree.modules[static_cast<std::size_t>(module)].runs) << path;
  }
}

// Whether LibTorch's Linear writes `t, addmm` or `t, matmul, add_`.
TEST_P(CapturedModels, HaveLinearLayersOfOneOperator) {
  const CapturedModel captured = capture_model(GetParam().make());
  const SubgraphFinder finder(captured.data);
  for (std::size_t i = 0; i < captured.data.tree.modules.size(); ++i) {
    const Module& module = captured.data.tree.modules[i];
    if (!module.runs || module.type != "torch.nn.Linear") continue;
    for (const Subgraph& subgraph : finder.find(static_cast<ModuleId>(i))) {
      EXPECT_EQ(single_operator(captured.data, subgraph), "aten::linear") << module.path;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, CapturedModels, ::testing::ValuesIn(model_cases()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace tenon
