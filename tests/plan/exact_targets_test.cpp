#include "plan/exact_targets.h"

#include <gmock/gmock.h>

#include "targets/name_patterns.h"

namespace tenon {
namespace {

ModuleTree tree_of(const std::vector<std::string>& paths) {
  ModuleTree tree;
  tree.modules.push_back({"", "Net", true});
  for (const std::string& path : paths) tree.modules.push_back({path, "torch.nn.Linear", true});
  return tree;
}

TEST(ExactTargets, AreAListUnlessItWouldMeanOthersToo) {
  const std::vector<std::string> wanted{"head"};
  EXPECT_EQ(exact_targets(tree_of({"head", "lm_head"}), wanted), ModuleRule(wanted));
  EXPECT_EQ(exact_targets(tree_of({"head", "decoder.head"}), wanted), ModuleRule(Regex{"^head"}));
}

TEST(ExactTargets, AnExpressionKeepsLettersOutsideAsciiWhole) {
  EXPECT_EQ(exact_pattern("\u00fcbung.1"), "^\u00fcbung\\.1");
}

}  // namespace
}  // namespace tenon
