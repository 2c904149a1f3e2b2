#include "model/export_notes.h"

#include <gmock/gmock.h>

namespace tenon {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Node node(std::string target, std::vector<NamedArgument> arguments = {}) {
  Node node;
  node.target = std::move(target);
  node.arguments = std::move(arguments);
  node.module_stack = {0, 1};
  return node;
}

ModelData model_of(std::vector<Node> nodes) {
  ModelData model;
  model.tree.modules = {{"", "Net", true}, {"block", "Block", true}, {"drop_path1", "", false}};
  model.graph.nodes = std::move(nodes);
  return model;
}

Node dropout(bool training) {
  return node(
      "aten::dropout",
      {{"input", {ValueId{0}}}, {"p", {c10::IValue(0.1)}}, {"train", {c10::IValue(training)}}});
}

TEST(ExportNotes, StochasticDepthOfATrainingExportIsDrawnInEvaluationToo) {
  EXPECT_THAT(export_notes(model_of({dropout(true), node("aten::bernoulli_")})),
              ElementsAre(HasSubstr("drawn in every forward, in evaluation too, by `block`;")));
}

TEST(ExportNotes, AnEvaluationExportHasLostAttentionsDropoutAndStochasticDepth) {
  EXPECT_THAT(
      export_notes(model_of({dropout(false), node("aten::scaled_dot_product_attention")})),
      ElementsAre(HasSubstr("the export was made in eval(); training switches its dropout on, as "
                            "train() does: `block`"),
                  HasSubstr("the dropout of attention, if it had any, is not in this export, so "
                            "that training goes without: `block`;"),
                  HasSubstr("`drop_path1` runs no operator")));
}

TEST(ExportNotes, ATrainingExportThatCarriesItsDropoutNeedsNoNote) {
  const Node attention =
      node("aten::scaled_dot_product_attention", {{"dropout_p", {c10::IValue(0.1)}}});
  EXPECT_THAT(export_notes(model_of({dropout(true), attention})), IsEmpty());
}

TEST(ExportNotes, DecompositionsFixBatchNormsMode) {
  EXPECT_THAT(
      export_notes(model_of({dropout(true), node("aten::_native_batch_norm_legit_no_training"),
                             node("aten::_batch_norm_with_update_functional")})),
      ElementsAre(HasSubstr("fixed BatchNorm to evaluation"),
                  HasSubstr("fixed BatchNorm to training")));
}

}  // namespace
}  // namespace tenon
