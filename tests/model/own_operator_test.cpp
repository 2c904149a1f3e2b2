#include "model/own_operator.h"

#include "support/graph_edits.h"
#include "support/lora_model.h"

namespace tenon {
namespace {

using testing::calls_of;
using testing::insert_operator;
using testing::node_of;
using testing::result_of;
using testing::small_mlp;
using testing::value_of;

std::optional<OwnOperator> found(const ModelData& model, const char* path = "seq.0") {
  return own_operator(model, calls_of(model, path));
}

const std::vector<NamedArgument> kToFloat = {{"dtype", {c10::IValue(6)}}};
const std::vector<NamedArgument> kTwice = {{"other", {c10::IValue(2)}}};

TEST(OwnOperator, LayerKindIsItsOperator) {
  const auto own = found(small_mlp());
  ASSERT_TRUE(own);
  EXPECT_EQ(own->type, "torch.nn.Linear");
  EXPECT_TRUE(own->is_exact);
  EXPECT_FALSE(found(small_mlp(), "seq.1")) << "an activation has no weight";
  EXPECT_FALSE(found(small_mlp(), "seq")) << "the weights belong to the layers inside";
  EXPECT_FALSE(own_operator(small_mlp(), {})) << "what never runs is nothing";
}

TEST(OwnOperator, CastsChangeNothing) {
  ModelData model = small_mlp();
  insert_operator(model, "seq.0", "aten::to", result_of(node_of(model, "seq.0")), kToFloat);
  insert_operator(model, "seq.0", "aten::to", value_of(model, "seq.0.weight"), kToFloat);
  insert_operator(model, "seq.0", "aten::to", value_of(model, "seq.0.bias"), kToFloat);
  ASSERT_TRUE(found(model));
  EXPECT_TRUE(found(model)->is_exact);
}

TEST(OwnOperator, ArithmeticElementByElementStandsBesideIt) {
  ModelData output = small_mlp();
  insert_operator(output, "seq.0", "aten::mul", result_of(node_of(output, "seq.0")), kTwice);
  ModelData input = small_mlp();
  insert_operator(input, "seq.2", "aten::relu", result_of(node_of(input, "seq.1")));
  ModelData weight = small_mlp();
  insert_operator(weight, "seq.0", "aten::mul", value_of(weight, "seq.0.weight"), kTwice);
  const std::vector<std::optional<OwnOperator>> all = {found(output), found(input, "seq.2"),
                                                       found(weight)};
  for (const auto& own : all) {
    ASSERT_TRUE(own);
    EXPECT_EQ(own->type, "torch.nn.Linear");
    EXPECT_FALSE(own->is_exact);
  }
}

TEST(OwnOperator, AnythingElseIsNothing) {
  ModelData reshaped = small_mlp();
  insert_operator(reshaped, "seq.0", "aten::flatten", result_of(node_of(reshaped, "seq.0")));
  EXPECT_FALSE(found(reshaped));
  ModelData sliced = small_mlp();
  insert_operator(sliced, "seq.0", "aten::select", value_of(sliced, "seq.0.weight"));
  EXPECT_FALSE(found(sliced)) << "what is made of the weight has another shape";
  ModelData renamed = small_mlp();
  std::ranges::find(renamed.tensors, "seq.0.weight", &ModelTensor::name)->name = "seq.0.kernel";
  EXPECT_FALSE(found(renamed)) << "a plugin looks for `weight`";
}

TEST(OwnOperator, BiasAddedBehindItIsStillItsBias) {
  ModelData model = small_mlp();
  Node& linear = node_of(model, "seq.0");
  std::erase_if(linear.arguments, [](const auto& argument) { return argument.name == "bias"; });
  const ValueId bias = value_of(model, "seq.0.bias");
  insert_operator(model, "seq.0", "aten::add", result_of(linear), {{"other", {bias}}});
  ASSERT_TRUE(found(model));
  EXPECT_TRUE(found(model)->is_exact);
  std::ranges::find(model.tensors, "seq.0.bias", &ModelTensor::name)->name = "seq.0.shift";
  EXPECT_FALSE(found(model)->is_exact) << "DoRA scales all but the bias";
}

TEST(OwnOperator, EmbeddingTimesANumberIsNothing) {
  EXPECT_FALSE(found(testing::scaled_model("acme.Scaled", 4.0), "words"))
      << "PEFT multiplies the update too if it knows the factor's name";
}

}  // namespace
}  // namespace tenon
