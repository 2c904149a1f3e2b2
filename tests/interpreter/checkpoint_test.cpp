#include "interpreter/checkpoint.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>

#include "support/error_matchers.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;

// y = dropout(x w) * factor, and the number of rows.
struct Part {
  at::Tensor weight = at::linspace(-1, 1, 9).reshape({3, 3}).requires_grad_();
  at::Tensor count = at::zeros({});  // of runs, as BatchNorm counts batches
  int runs = 0;

  std::vector<c10::IValue> operator()(const std::vector<c10::IValue>& values) {
    ++runs;
    const at::NoGradGuard no_grad;
    count.add_(1);
    const at::AutoGradMode grad(found_grad_);
    const at::Tensor x = values[0].toTensor();
    return {at::dropout(at::mm(x, weight), 0.5, true) * values[1].toDouble(), x.size(0)};
  }

  std::vector<c10::IValue> run(const at::Tensor& x) { return (*this)({x, 2.0}); }
  std::vector<c10::IValue> run_checkpointed(const at::Tensor& x) {
    return tenon::run_checkpointed(
        [this](std::vector<c10::IValue> values) {
          found_grad_ = at::GradMode::is_enabled();
          return (*this)(values);
        },
        {x, 2.0}, {weight}, {count});
  }

  bool found_grad_ = true;
};

at::Tensor input() { return at::linspace(0, 1, 12).reshape({4, 3}).requires_grad_(); }

TEST(Checkpoint, GivesTheSameOutputsAndGradientsByRunningTwice) {
  Part plain, part;
  const at::Tensor plain_x = input(), x = input();
  at::manual_seed(3);
  plain.run(plain_x)[0].toTensor().square().sum().backward();
  at::manual_seed(3);
  const std::vector<c10::IValue> outputs = part.run_checkpointed(x);
  EXPECT_EQ(outputs[1].toInt(), 4);
  EXPECT_EQ(part.runs, 1);
  outputs[0].toTensor().square().sum().backward();
  EXPECT_EQ(part.runs, 2);
  EXPECT_TRUE(at::equal(x.grad(), plain_x.grad()));
  EXPECT_TRUE(at::equal(part.weight.grad(), plain.weight.grad()));
}

TEST(Checkpoint, LeavesRandomNumbersAndWrittenTensorsAsOneRunDoes) {
  Part plain, part;
  at::manual_seed(3);
  plain.run(input());
  const at::Tensor wanted = at::rand({2});
  at::manual_seed(3);
  const at::Tensor y = part.run_checkpointed(input())[0].toTensor();
  const at::Tensor drawn = at::rand({2});
  y.sum().backward();
  EXPECT_TRUE(at::equal(drawn, wanted));
  EXPECT_EQ(part.count.item<double>(), 1);
}

TEST(Checkpoint, RunsOnceWhereNothingIsRecorded) {
  Part part;
  const at::NoGradGuard no_grad;
  EXPECT_FALSE(part.run_checkpointed(input())[0].toTensor().requires_grad());
  EXPECT_EQ(part.runs, 1);
}

TEST(Checkpoint, GivesAGradientToParametersAlone) {
  Part part;
  part.run_checkpointed(input().detach())[0].toTensor().sum().backward();
  EXPECT_TRUE(part.weight.grad().defined());
}

TEST(Checkpoint, RefusesASecondDerivative) {
  Part part;
  const at::Tensor x = input();
  const at::Tensor y = part.run_checkpointed(x)[0].toTensor().sum();
  EXPECT_THAT(error_text([&] { torch::autograd::grad({y}, {x}, {}, true, true); }),
              HasSubstr("the gradient of a checkpointed module cannot be differentiated"));
}

}  // namespace
}  // namespace tenon
