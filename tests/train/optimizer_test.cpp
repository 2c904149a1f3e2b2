#include "train/optimizer.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "support/error_matchers.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;

at::Tensor parameter(const at::Tensor& values) { return values.clone().requires_grad_(); }

std::vector<float> floats(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

at::Tensor loss_of_first(const at::Tensor& first) {
  return (first * at::tensor({1.0F, 2.0F, 0.5F}) - at::tensor({1.0F, 0.5F, -1.0F})).pow(2).sum();
}

struct Settings {
  const char* name;
  void (*set)(TrainConfig& c);
  std::vector<float> expected;  // first and second parameter
};

class OptimizerNumbers : public ::testing::TestWithParam<Settings> {};

// The loss, the steps and the expected numbers are those of make_optimizer_numbers.py.
TEST_P(OptimizerNumbers, EqualTorchOptim) {
  const at::Tensor first = parameter(at::tensor({0.5F, -1.0F, 2.0F}));
  const at::Tensor second = parameter(at::tensor({1.5F, -0.25F}).reshape({2, 1}));
  const at::Tensor factor = at::tensor({3.0F, 1.0F}).reshape({2, 1});
  TrainConfig config;
  GetParam().set(config);
  Optimizer optimizer({first, second}, config);
  for (int step = 0; step < 20; ++step) {
    optimizer.zero_grad();
    at::Tensor loss = loss_of_first(first);
    if (step >= 2) loss = loss + (second * factor - 1.0).pow(2).sum();
    loss.backward();
    optimizer.step();
  }
  std::vector<float> all = floats(first);
  for (const float value : floats(second)) all.push_back(value);
  EXPECT_THAT(all, ::testing::Pointwise(::testing::FloatNear(2e-6F), GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(
    Table, OptimizerNumbers,
    ::testing::Values(Settings{"AdamW",
                               [](TrainConfig& c) {
                                 c.optimizer = "adamw";
                                 c.learning_rate = 0.05;
                               },
                               {1.131938F, -0.07358734F, 1.0023F, 0.6536488F, 0.5925278F}},
                      Settings{"AdamWDecayAmsgrad",
                               [](TrainConfig& c) {
                                 c.learning_rate = 0.05;
                                 c.weight_decay = 0.1;
                                 c.amsgrad = true;
                               },
                               {1.099521F, -0.035354F, 0.8753179F, 0.5809349F, 0.5797141F}},
                      Settings{"AdamWMaximize",
                               [](TrainConfig& c) {
                                 c.learning_rate = 0.05;
                                 c.betas = {0.8, 0.95};
                                 c.maximize = true;
                               },
                               {-0.5745087F, -2.029868F, 2.992925F, 2.419016F, -1.178833F}},
                      Settings{"Adam",
                               [](TrainConfig& c) {
                                 c.optimizer = "adam";
                                 c.learning_rate = 0.05;
                               },
                               {1.135577F, -0.07813909F, 1.017179F, 0.6622022F, 0.5939591F}},
                      Settings{"AdamDecayEps",
                               [](TrainConfig& c) {
                                 c.optimizer = "adam";
                                 c.learning_rate = 0.05;
                                 c.eps = 1e-3;
                                 c.weight_decay = 0.1;
                               },
                               {1.07544F, -0.07853188F, 1.01947F, 0.662095F, 0.5902281F}},
                      Settings{"AdamAmsgrad",
                               [](TrainConfig& c) {
                                 c.optimizer = "adam";
                                 c.learning_rate = 0.2;
                                 c.amsgrad = true;
                               },
                               {1.017138F, 0.3614363F, -1.555095F, 0.1581564F, 1.24978F}},
                      Settings{"Sgd",
                               [](TrainConfig& c) {
                                 c.optimizer = "sgd";
                                 c.learning_rate = 0.01;
                               },
                               {0.666196F, 0.01413335F, 1.618442F, 0.3661124F, 0.1310808F}},
                      Settings{"SgdDecay",
                               [](TrainConfig& c) {
                                 c.optimizer = "sgd";
                                 c.learning_rate = 0.01;
                                 c.weight_decay = 0.1;
                               },
                               {0.656472F, 0.01669168F, 1.5842F, 0.3636092F, 0.1317828F}},
                      Settings{"SgdMomentum",
                               [](TrainConfig& c) {
                                 c.optimizer = "sgd";
                                 c.learning_rate = 0.01;
                                 c.momentum = 0.9;
                               },
                               {1.135336F, -0.1125544F, -0.0691506F, 0.2922722F, 1.271091F}},
                      Settings{"SgdMomentumDampening",
                               [](TrainConfig& c) {
                                 c.optimizer = "sgd";
                                 c.learning_rate = 0.01;
                                 c.momentum = 0.9;
                                 c.dampening = 0.5;
                               },
                               {0.9615794F, 0.5255485F, 0.8067703F, 0.7451839F, 0.8047614F}},
                      Settings{"SgdNesterovDecay",
                               [](TrainConfig& c) {
                                 c.optimizer = "sgd";
                                 c.learning_rate = 0.01;
                                 c.weight_decay = 0.1;
                                 c.momentum = 0.9;
                                 c.nesterov = true;
                               },
                               {1.055814F, 0.08206351F, -0.2629684F, 0.3060652F, 1.187883F}},
                      Settings{"SgdMaximize",
                               [](TrainConfig& c) {
                                 c.optimizer = "sgd";
                                 c.learning_rate = 0.001;
                                 c.momentum = 0.5;
                                 c.maximize = true;
                               },
                               {0.4607365F, -1.433498F, 2.076623F, 2.428018F, -0.3374799F}}),
    [](const auto& test) { return test.param.name; });

TEST(Optimizer, ParameterWithoutGradientStaysAsItIs) {
  const at::Tensor first = parameter(at::tensor({0.5F, -1.0F, 2.0F}));
  const at::Tensor idle = parameter(at::tensor({1.0F}));
  Optimizer optimizer({first, idle}, TrainConfig{});
  loss_of_first(first).backward();
  optimizer.step();
  EXPECT_EQ(idle.item<float>(), 1.0F);
  EXPECT_NE(floats(first)[0], 0.5F);
}

// Tied adapters: PEFT's optimizer steps both, in turn.
TEST(Optimizer, ParametersInOneMemoryAreSteppedOneAfterTheOther) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor first = at::zeros({2, 3}, type).requires_grad_();
    const at::Tensor second = first.detach().t().requires_grad_();
    TrainConfig config;
    config.optimizer = "sgd";
    config.learning_rate = 0.5;
    Optimizer optimizer({first, second}, config);
    first.mutable_grad() = at::ones({2, 3}, type);
    second.mutable_grad() = at::full({3, 2}, 2, type);
    optimizer.step();
    EXPECT_TRUE(at::equal(first.detach(), at::full({2, 3}, -1.5, type)));
  }
}

TEST(Optimizer, ZeroGradDropsTheGradients) {
  const at::Tensor first = parameter(at::tensor({0.5F, -1.0F, 2.0F}));
  Optimizer optimizer({first}, {});
  loss_of_first(first).backward();
  ASSERT_TRUE(first.grad().defined());
  optimizer.zero_grad();
  EXPECT_FALSE(first.grad().defined());
}

TEST(Optimizer, DifferentDtypesAreUpdatedTogether) {
  const at::Tensor single = parameter(at::tensor({0.5F, -1.0F, 2.0F}));
  const at::Tensor twice = parameter(at::tensor({0.5F, -1.0F, 2.0F}).to(at::kDouble));
  Optimizer optimizer({single, twice}, {});
  (loss_of_first(single) + loss_of_first(twice)).backward();
  optimizer.step();
  EXPECT_EQ(twice.scalar_type(), at::kDouble);
  EXPECT_TRUE(twice.detach().to(at::kFloat).allclose(single.detach(), 1e-6, 1e-6));
  EXPECT_FALSE(at::equal(single.detach(), at::tensor({0.5F, -1.0F, 2.0F})));
}

// The fused operators ignore strides; a parameter may be a slice of a larger tensor all the same.
class StridedParameter : public ::testing::TestWithParam<const char*> {};

TEST_P(StridedParameter, IsUpdatedAsADenseOneAndItsNeighboursAreNot) {
  TrainConfig config;
  config.optimizer = GetParam();
  config.learning_rate = 0.1;
  config.momentum = 0.9;
  const at::Tensor whole = at::tensor({1.0F, 9.0F, 2.0F, 9.0F, 3.0F, 9.0F}).reshape({3, 2});
  const at::Tensor slice = whole.select(1, 0).detach().requires_grad_();
  const at::Tensor dense = parameter(at::tensor({1.0F, 2.0F, 3.0F}));
  Optimizer strided_optimizer({slice}, config);
  Optimizer dense_optimizer({dense}, config);
  for (int step = 0; step < 3; ++step) {
    strided_optimizer.zero_grad();
    dense_optimizer.zero_grad();
    (loss_of_first(slice) + loss_of_first(dense)).backward();
    strided_optimizer.step();
    dense_optimizer.step();
  }
  EXPECT_TRUE(at::equal(slice.detach(), dense.detach()));
  EXPECT_TRUE(at::equal(whole.select(1, 1), at::tensor({9.0F, 9.0F, 9.0F})));
}

INSTANTIATE_TEST_SUITE_P(Table, StridedParameter, ::testing::Values("sgd", "adam", "adamw"),
                         [](const auto& test) { return std::string(test.param); });

TEST(Optimizer, NesterovWithoutMomentumIsAConfigError) {
  TrainConfig config;
  config.optimizer = "sgd";
  config.nesterov = true;
  config.location = "mlp.toml:9:1";
  EXPECT_THAT(error_text([&] { Optimizer optimizer({}, config); }),
              HasSubstr("mlp.toml:9:1: [train] nesterov needs a momentum above 0"));
}

}  // namespace
}  // namespace tenon
