#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "capture/captured_model.h"
#include "capture/mlp_model.h"
#include "capture/models.h"
#include "model/interpreter.h"

namespace tenon {
namespace {

struct Case {
  std::string name;
  std::function<CallableModel()> make;
  std::int64_t batch_dimension = 0;
  std::vector<std::string> running;  // modules that must be found in the graph
};

void PrintTo(const Case& test_case, std::ostream* out) { *out << test_case.name; }

template <typename Model>
std::function<CallableModel()> of(std::vector<Tensor> examples) {
  return [examples] { return callable_model(std::make_shared<Model>(), examples); };
}

Tensor ids(std::int64_t count, std::vector<std::int64_t> shape) {
  return at::randint(count, shape, at::kLong);
}

std::vector<Case> cases() {
  return {
      {"Mlp", of<MlpImpl>({at::randn({4, 20})}), 0, {"first", "second", "last"}},
      {"Sequential",
       [] {
         return callable_model(sequential_mlp(), {at::randn({4, 20})});
       },
       0,
       {"0", "2", "4"}},
      {"ConvNet",
       of<ConvNetImpl>({at::randn({2, 3, 8, 8})}),
       0,
       {"conv", "norm", "depthwise", "head"}},
      {"Conv1dNet", of<Conv1dNetImpl>({at::randn({2, 4, 9})}), 0, {"down", "norm", "up"}},
      {"Conv3dNet",
       of<Conv3dNetImpl>({at::randn({2, 2, 4, 4, 4})}),
       0,
       {"down", "norm", "prelu", "up"}},
      {"UpsampleNet", of<UpsampleNetImpl>({at::randn({2, 2, 3, 3})}), 0, {"up"}},
      {"Tagger", of<TaggerImpl>({ids(11, {3, 7})}), 0, {"embedding", "lstm", "head"}},
      {"GruNet", of<GruNetImpl>({at::randn({3, 4, 3})}), 0, {"gru", "head"}},
      {"RnnNet", of<RnnNetImpl>({at::randn({3, 4, 3})}), 0, {"rnn"}},
      {"Cells", of<CellsImpl>({at::randn({3, 3})}), 0, {"rnn", "gru", "lstm"}},
      {"SelfAttention",
       of<SelfAttentionImpl>({at::randn({5, 3, 8})}),
       1,
       {"attention", "attention.out_proj"}},
      {"CrossAttention",
       of<CrossAttentionImpl>({at::randn({4, 3, 8}), at::randn({6, 3, 8})}),
       1,
       {"attention", "norm"}},
      {"TransformerNet",
       of<TransformerNetImpl>({at::randn({5, 3, 8})}),
       1,
       {"encoder.layers.0.self_attn", "encoder.layers.1.linear1"}},
      {"Bag", of<BagImpl>({ids(9, {3, 4})}), 0, {"bag", "head"}},
      {"BilinearNet", of<BilinearNetImpl>({at::randn({3, 3}), at::randn({3, 4})}), 0, {"bilinear"}},
      {"ResidualNet",
       of<ResidualNetImpl>({at::randn({2, 5, 6})}),
       0,
       {"blocks.0.fc", "blocks.2.norm", "head"}},
      {"SharedLayer", of<SharedLayerImpl>({at::randn({3, 4})}), 0, {"fc"}},
      {"Tied", of<TiedImpl>({ids(7, {3, 4})}), 0, {"embedding"}},
      {"ManyWays",
       of<ManyWaysImpl>({at::randn({3, 3}), at::randn({3, 4})}),
       0,
       {"first", "second"}},
      {"OwnTypes", of<OwnTypesImpl>({at::randn({3, 6})}), 0, {"scale", "position", "fc"}},
      {"Noisy", of<NoisyImpl>({at::randn({3, 4})}), 0, {"fc"}},
  };
}

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

template <typename Forward>
Result run(const Forward& forward, const std::vector<Tensor>& inputs,
           const std::vector<ModelTensor>& tensors) {
  at::manual_seed(5);
  Result result;
  std::vector<Tensor> roots;
  for (const Tensor& output : forward(inputs)) {
    if (!output.defined()) continue;
    result.outputs.push_back(output);
    if (output.requires_grad()) roots.push_back(output.sin().sum());
  }
  std::vector<Tensor> parameters;
  for (const ModelTensor& tensor : tensors) {
    if (tensor.kind == ValueKind::kParameter) parameters.push_back(tensor.tensor);
  }
  result.gradients = torch::autograd::grad(roots, parameters, {}, false, false, true);
  return result;
}

class CapturedModels : public ::testing::TestWithParam<Case> {};

// Batches that the capture never saw, in both modes.
TEST_P(CapturedModels, AreTheModelBitForBit) {
  const CallableModel model = GetParam().make();
  const CapturedModel captured = capture_model(model);
  EXPECT_THAT(captured.notes, ::testing::IsEmpty());
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
            << captured.data.tensors[i].name;
      }
    }
  }
}

TEST_P(CapturedModels, ShowWhichModulesRun) {
  const CapturedModel captured = capture_model(GetParam().make());
  for (const std::string& path : GetParam().running) {
    const ModuleId module = captured.data.tree.find(path);
    ASSERT_NE(module, kNoModule) << path;
    EXPECT_TRUE(captured.data.tree.modules[static_cast<std::size_t>(module)].runs) << path;
  }
}

INSTANTIATE_TEST_SUITE_P(All, CapturedModels, ::testing::ValuesIn(cases()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace tenon
