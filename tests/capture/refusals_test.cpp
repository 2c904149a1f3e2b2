#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/rnn.h>

#include "base/error.h"
#include "capture/captured_model.h"
#include "interpreter/interpreter.h"
#include "model/input_check.h"

namespace tenon {
namespace {

namespace nn = torch::nn;
using at::Tensor;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Small : nn::Module {
  nn::Linear fc = register_module("fc", nn::Linear(4, 4));
};

std::string refusal(const TensorFunction& forward, const std::shared_ptr<nn::Module>& module,
                    const std::vector<Tensor>& examples = {at::randn({3, 4})}) {
  try {
    capture_model({module, forward, examples});
  } catch (const Error& error) {
    return error.what();
  }
  return "captured";
}

TEST(CaptureModel, BranchOnDataIsRefusedWhereTheNumberIsRead) {
  const auto model = std::make_shared<Small>();
  const auto forward = [&](const std::vector<Tensor>& x) -> std::vector<Tensor> {
    const Tensor y = model->fc(x[0]);
    return {y.sum().item<float>() > 0 ? y : y.neg()};
  };
  EXPECT_THAT(refusal(forward, model), AllOf(HasSubstr("aten::item"), HasSubstr("after `fc`"),
                                             HasSubstr("it reads a number out of a tensor")));
}

TEST(CaptureModel, LoopOverTheBatchIsRefusedWhereItEnds) {
  const auto model = std::make_shared<Small>();
  const auto forward = [&](const std::vector<Tensor>& x) -> std::vector<Tensor> {
    std::vector<Tensor> rows;
    for (std::int64_t i = 0; i < x[0].size(0); ++i) rows.push_back(model->fc(x[0][i]));
    return {at::stack(rows)};
  };
  EXPECT_THAT(refusal(forward, model),
              AllOf(HasSubstr("with another size of dimension 0 of `input`"),
                    HasSubstr("aten::stack in one run, aten::select.int in the other")));
}

TEST(CaptureModel, OtherOperatorsInTrainingAreRefused) {
  const auto model = std::make_shared<Small>();
  const auto forward = [&](const std::vector<Tensor>& x) -> std::vector<Tensor> {
    const Tensor y = model->fc(x[0]);
    return {model->is_training() ? y * 2 : at::relu(y)};
  };
  EXPECT_THAT(refusal(forward, model),
              AllOf(HasSubstr("in training than in evaluation"),
                    HasSubstr("aten::relu in one run, aten::mul.Scalar in the other")));
}

struct Doubled : torch::autograd::Function<Doubled> {
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x) { return x * 2; }
  static std::vector<Tensor> backward(torch::autograd::AutogradContext*,
                                      std::vector<Tensor> gradients) {
    return {gradients[0] * 3};
  }
};
struct Reversed : torch::autograd::Function<Reversed> {
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x) { return x; }
  static std::vector<Tensor> backward(torch::autograd::AutogradContext*,
                                      std::vector<Tensor> gradients) {
    return {gradients[0].neg()};
  }
};

TEST(CaptureModel, CustomAutogradFunctionIsNamed) {
  const auto model = std::make_shared<Small>();
  const auto forward = [&](const std::vector<Tensor>& x) -> std::vector<Tensor> {
    return {at::relu(Doubled::apply(model->fc(x[0])))};
  };
  EXPECT_THAT(refusal(forward, model), AllOf(HasSubstr("the custom autograd function"),
                                             HasSubstr("Doubled"), HasSubstr("aten::relu")));
}

TEST(CaptureModel, CustomAutogradFunctionThatReturnsItsInputIsNamed) {
  const auto model = std::make_shared<Small>();
  const auto forward = [&](const std::vector<Tensor>& x) -> std::vector<Tensor> {
    return {Reversed::apply(model->fc(x[0]))};
  };
  EXPECT_THAT(refusal(forward, model), HasSubstr("Reversed"));
}

TEST(CaptureModel, TensorFilledThroughItsPointerIsRefusedIfItFollowsTheInput) {
  const auto model = std::make_shared<Small>();
  const auto forward = [&](const std::vector<Tensor>& x) -> std::vector<Tensor> {
    const Tensor copy = at::empty_like(x[0]);
    const Tensor source = x[0].contiguous();
    std::copy_n(source.const_data_ptr<float>(), source.numel(), copy.mutable_data_ptr<float>());
    return {model->fc(copy)};
  };
  EXPECT_THAT(refusal(forward, model), HasSubstr("is not the same thing in both runs"));
}

TEST(CaptureModel, LoopOverTheSequenceFixesItsLengthAndSaysSo) {
  struct Unrolled : nn::Module {
    Tensor forward(const Tensor& x) {
      Tensor h = at::zeros({x.size(0), 5});
      for (std::int64_t t = 0; t < x.size(1); ++t) h = cell(x.select(1, t), h);
      return h;
    }
    nn::GRUCell cell = register_module("cell", nn::GRUCell(3, 5));
  };
  const CapturedModel captured =
      capture_model(callable_model(std::make_shared<Unrolled>(), {at::randn({2, 4, 3})}));
  EXPECT_THAT(captured.notes, ElementsAre(HasSubstr("dimension 1 of `input` is fixed to 4")));
  EXPECT_THROW(check_inputs(captured.data.inputs, {at::randn({2, 5, 3})}), Error);
  EXPECT_NO_THROW(check_inputs(captured.data.inputs, {at::randn({7, 4, 3})}));
}

TEST(CaptureModel, ThresholdFarAboveTheExampleIsSeen) {
  const auto model = std::make_shared<Small>();
  const auto forward = [&](const std::vector<Tensor>& x) -> std::vector<Tensor> {
    const Tensor y = model->fc(x[0]);
    return {x[0].size(0) > 64 ? at::relu(y) : y};
  };
  EXPECT_THAT(refusal(forward, model), AllOf(HasSubstr("with another batch size"),
                                             HasSubstr("this run ends, the other has aten::relu")));
}

TEST(CaptureModel, BranchOnDataReadThroughAPointerIsSeen) {
  const auto model = std::make_shared<Small>();
  const auto forward = [&](const std::vector<Tensor>& x) -> std::vector<Tensor> {
    const Tensor y = model->fc(x[0]);
    return {*x[0].const_data_ptr<float>() > 0 ? at::relu(y) : y};
  };
  EXPECT_THAT(refusal(forward, model, {at::ones({3, 4})}),
              AllOf(HasSubstr("with other data"), HasSubstr("aten::relu")));
}

TEST(CaptureModel, NumberOfItsOwnForOneRowIsNotTakenAndSaid) {
  const auto model = std::make_shared<Small>();
  const TensorFunction forward = [&](const std::vector<Tensor>& x) -> std::vector<Tensor> {
    return {model->fc(x[0]) * (x[0].size(0) == 1 ? 2.0 : 3.0)};
  };
  const CapturedModel captured = capture_model({model, forward, {at::randn({3, 4})}});
  EXPECT_THAT(captured.notes,
              ElementsAre(AllOf(HasSubstr("dimension 0 of `input` must be 2 or more"),
                                HasSubstr("output 0 differs"))));
  EXPECT_THROW(check_inputs(captured.data.inputs, {at::randn({1, 4})}), Error);
  EXPECT_NO_THROW(check_inputs(captured.data.inputs, {at::randn({2, 4})}));
}

TEST(CaptureModel, ExampleOfOneRowThatGoesItsOwnWayIsRefused) {
  const auto model = std::make_shared<Small>();
  const auto forward = [&](const std::vector<Tensor>& x) -> std::vector<Tensor> {
    const Tensor y = model->fc(x[0]);
    return {x[0].size(0) == 1 ? at::relu(y) : y};
  };
  EXPECT_THAT(refusal(forward, model, {at::randn({1, 4})}),
              HasSubstr("with another size of dimension 0 of `input`"));
}

TEST(CaptureModel, AttentionOfOneSequenceAsExampleTakesSeveral) {
  struct Attention : nn::Module {
    Tensor forward(const Tensor& x) { return std::get<0>(attention(x, x, x)); }
    nn::MultiheadAttention attention = register_module("attention", nn::MultiheadAttention(8, 2));
  };
  const auto model = std::make_shared<Attention>();
  model->eval();
  const CapturedModel captured = capture_model(callable_model(model, {at::randn({4, 1, 8})}));
  EXPECT_THAT(captured.notes, ElementsAre());
  const Program program(captured.data.graph, captured.data.tensors);
  for (const std::int64_t rows : {1, 2, 5}) {
    const Tensor x = at::randn({3, rows, 8});
    check_inputs(captured.data.inputs, {x});
    EXPECT_TRUE(at::equal(program.run({x}, {})[0].toTensor(), model->forward(x))) << rows;
  }
}

TEST(CaptureModel, ForwardThatFailsOnTheExampleIsToldWithItsReason) {
  const auto model = std::make_shared<Small>();
  const auto forward = [&](const std::vector<Tensor>& x) -> std::vector<Tensor> {
    return {model->fc(x[0])};
  };
  EXPECT_THAT(refusal(forward, model, {at::randn({3, 5})}),
              AllOf(HasSubstr("the model's own forward fails on the example inputs: "),
                    HasSubstr("mat1 and mat2 shapes cannot be multiplied"),
                    HasSubstr("give examples that the model itself takes")));
}

TEST(CaptureModel, BranchThatWasTheSameInAllRunsIsCheckedInEachForward) {
  const auto model = std::make_shared<Small>();
  const TensorFunction forward = [&](const std::vector<Tensor>& x) -> std::vector<Tensor> {
    const bool large = (x[0].abs().max() > 100).item<bool>();
    return {large ? x[0] : model->fc(x[0])};
  };
  const CapturedModel captured = capture_model({model, forward, {at::randn({3, 4})}});
  const Program program(captured.data.graph, captured.data.tensors);
  EXPECT_EQ(program.run({at::randn({3, 4})}, {}).size(), 1);
  try {
    program.run({at::full({3, 4}, 1000.0)}, {});
    FAIL() << "the other branch was not told";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("would take the model another way"),
                                    HasSubstr("aten::item"), HasSubstr("gives True, not False")));
  }
}

TEST(CaptureModel, FixedSizesTakeWhatFollowsTheBatch) {
  const auto model = std::make_shared<Small>();
  const TensorFunction forward = [&](const std::vector<Tensor>& x) -> std::vector<Tensor> {
    std::vector<Tensor> rows;
    for (std::int64_t i = 0; i < x[0].size(0); ++i) rows.push_back(model->fc(x[0][i]));
    return {at::stack(rows)};
  };
  const CapturedModel captured =
      capture_model({model, forward, {at::randn({3, 4})}}, {.fixed_sizes = true});
  EXPECT_THROW(check_inputs(captured.data.inputs, {at::randn({4, 4})}), Error);
}

TEST(CaptureModel, ModelIsLeftAsItWas) {
  nn::BatchNorm1d norm(4);
  norm->train();
  at::manual_seed(3);
  const Tensor expected = at::randn({2});
  at::manual_seed(3);
  capture_model(
      callable_model(norm, {at::randn({3, 4}, at::make_generator<at::CPUGeneratorImpl>(1))}));
  EXPECT_TRUE(at::equal(at::randn({2}), expected));
  EXPECT_TRUE(norm->is_training());
  EXPECT_EQ(norm->num_batches_tracked.item<std::int64_t>(), 0);
  EXPECT_TRUE(at::equal(norm->running_mean, at::zeros({4})));
}

}  // namespace
}  // namespace tenon
