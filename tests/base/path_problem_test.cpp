#include "base/path_problem.h"

#include <gtest/gtest.h>

#include <string>

#include "support/error_matchers.h"

namespace tenon {
namespace {

using testing::error_text;

TEST(PathProblemTest, NameThatIsTooLongIsToldWithThePath) {
  const std::string name(300, 'a');
  EXPECT_EQ(error_text([&] {
              try {
                static_cast<void>(std::filesystem::is_directory(name));
              } catch (const std::filesystem::filesystem_error& error) {
                throw path_problem(error, Stage::kData);
              }
            }),
            name + ": the path cannot be used: File name too long");
}

}  // namespace
}  // namespace tenon
