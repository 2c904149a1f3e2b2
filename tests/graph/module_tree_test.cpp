#include "graph/graph.h"

#include <gtest/gtest.h>

#include <string>

namespace tenon {
namespace {

TEST(ModuleTree, FindsModulesByTheirFullPath) {
  const ModuleTree tree{{{"", "Net", true}, {"seq", "", true}, {"seq.0", "", true}}};
  EXPECT_EQ(tree.find(""), 0);
  EXPECT_EQ(tree.find("seq.0"), 2);
  EXPECT_EQ(tree.find("seq.1"), kNoModule);
  EXPECT_EQ(tree.find("0"), kNoModule);
  EXPECT_EQ(ModuleTree{}.find(""), kNoModule);
}

struct TypeName {
  std::string python;
  std::string shown;
};

class PublicTypeName : public ::testing::TestWithParam<TypeName> {};

TEST_P(PublicTypeName, IsWhatUsersWrite) {
  EXPECT_EQ(public_type_name(GetParam().python), GetParam().shown);
}

INSTANTIATE_TEST_SUITE_P(
    Types, PublicTypeName,
    ::testing::Values(
        TypeName{"torch.nn.modules.linear.Linear", "torch.nn.Linear"},
        TypeName{"torch.nn.modules.container.Sequential", "torch.nn.Sequential"},
        TypeName{"torch.nn.modules.linear.NonDynamicallyQuantizableLinear",
                 "torch.nn.modules.linear.NonDynamicallyQuantizableLinear"},
        TypeName{"torch.nn.modules.batchnorm._BatchNorm", "torch.nn.modules.batchnorm._BatchNorm"},
        TypeName{"torch.nn.modules.linear.Linear.Inner", "torch.nn.modules.linear.Linear.Inner"},
        TypeName{"torch.nn.modules.linear", "torch.nn.modules.linear"},
        TypeName{"__main__.Linear", "__main__.Linear"}, TypeName{"", ""}));

}  // namespace
}  // namespace tenon
