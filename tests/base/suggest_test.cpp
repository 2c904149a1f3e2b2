#include "base/suggest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tenon {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::vector<std::string> kKeys = {"r",     "lora_alpha", "lora_dropout", "target_modules",
                                        "seq.0", "seq.1",      "seq.2",        "seq.10"};

TEST(Nearest, FindsTheNameBehindASlip) {
  EXPECT_THAT(nearest("lora_alpa", kKeys, 3), ElementsAre("lora_alpha"));
  EXPECT_THAT(nearest("target_module", kKeys, 3), ElementsAre("target_modules"));
  EXPECT_THAT(nearest("rr", kKeys, 3), ElementsAre("r"));
}

TEST(Nearest, CountsSwappedNeighboursAsOneSlip) {
  EXPECT_THAT(nearest("ab", std::vector<std::string>{"ba", "cd"}, 3), ElementsAre("ba"));
}

TEST(Nearest, PutsTheBestFirstAndKeepsTheOrderOfEquals) {
  EXPECT_THAT(nearest("seq.11", kKeys, 9), ElementsAre("seq.1", "seq.10", "seq.0", "seq.2"));
  EXPECT_THAT(nearest("seq.11", kKeys, 2), ElementsAre("seq.1", "seq.10"));
}

TEST(Nearest, OffersNothingThatNoSlipExplains) {
  EXPECT_THAT(nearest("momentum", kKeys, 3), IsEmpty());
  EXPECT_THAT(nearest("x", kKeys, 3), IsEmpty());
  EXPECT_THAT(nearest("", kKeys, 3), IsEmpty());
  EXPECT_THAT(nearest("r", {}, 3), IsEmpty());
}

TEST(DidYouMean, ReadsAsASentence) {
  EXPECT_EQ(did_you_mean("lora_alpa", kKeys), "did you mean `lora_alpha`?");
  EXPECT_EQ(did_you_mean("seq.11", kKeys, 2), "did you mean `seq.1` or `seq.10`?");
  EXPECT_EQ(did_you_mean("seq.11", kKeys), "did you mean `seq.1`, `seq.10` or `seq.0`?");
  EXPECT_EQ(did_you_mean("momentum", kKeys), "");
}

TEST(Join, PutsTheSeparatorBetweenWords) {
  EXPECT_EQ(join(std::vector<std::string>{"a", "b", "c"}), "a, b, c");
  EXPECT_EQ(join(std::vector<std::string>{"a", "b"}, "|"), "a|b");
  EXPECT_EQ(join(std::vector<std::string>{"a"}), "a");
  EXPECT_EQ(join({}), "");
}

}  // namespace
}  // namespace tenon
