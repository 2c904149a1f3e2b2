#include "graph/owned_tensors.h"

#include <gmock/gmock.h>

namespace tenon {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> held(std::string_view path) {
  const std::vector<ModelTensor> tensors{
      {"b.weight", {"tied.weight", "b.again.weight"}, ValueKind::kParameter, true, {}, -1},
      {"a.fc.bias", {}, ValueKind::kParameter, true, {}, -1},
      {"a.fc.weight", {}, ValueKind::kParameter, true, {}, -1},
      {"ab.weight", {}, ValueKind::kParameter, true, {}, -1}};
  std::vector<std::string> result;
  for (const OwnedTensor& owned : OwnedTensors(tensors).of(path)) {
    result.push_back(std::to_string(owned.tensor) + " " + owned.name);
  }
  return result;
}

TEST(OwnedTensors, AModuleHoldsItsOwnAndItsDescendantsInModelOrder) {
  EXPECT_THAT(held("a"), ElementsAre("1 fc.bias", "2 fc.weight"));
  EXPECT_THAT(held("a.fc"), ElementsAre("1 bias", "2 weight"));
  EXPECT_THAT(held("a.f"), IsEmpty());
}

TEST(OwnedTensors, TiedTensorsAreHeldUnderEachNameAndOnceByEachModule) {
  EXPECT_THAT(held("tied"), ElementsAre("0 weight"));
  EXPECT_THAT(held("b"), ElementsAre("0 weight"));
  EXPECT_THAT(held("b.again"), ElementsAre("0 weight"));
}

}  // namespace
}  // namespace tenon
