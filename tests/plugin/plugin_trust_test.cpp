#include "plugin/plugin_trust.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "support/temp_dir.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;
using testing::TempDir;

// The rule that refuses a path; "" if none does.
std::string rule_of(const fs::path& path) {
  bool group_writable = false;
  const auto refusal = check_trust(path, group_writable);
  return refusal ? refusal->rule : "";
}

class PluginTrustTest : public ::testing::Test {
 protected:
  PluginTrustTest() { ::chmod(file.parent_path().c_str(), 0755); }

  TempDir dir;
  fs::path file = dir.write("a/b/plugin.so", "x");
};

TEST_F(PluginTrustTest, OwnFileBelowAFolderForAllWithTheStickyBitIsTrusted) {
  EXPECT_EQ(rule_of(file), "");
  EXPECT_EQ(rule_of(file.parent_path()), "");
  ::chmod((dir / "a").c_str(), 01777);  // as /tmp: others can add to it, and no more
  EXPECT_EQ(rule_of(file), "");
}

TEST_F(PluginTrustTest, FileThatOthersMayWriteIsRefusedWithTheStickyBitToo) {
  for (const mode_t mode : {0777, 01777, 0646}) {
    ::chmod(file.c_str(), mode);
    EXPECT_EQ(rule_of(file), "writable-by-others") << mode;
  }
}

TEST_F(PluginTrustTest, FolderThatOthersMayAddToHoldsNoPlugins) {
  for (const mode_t mode : {0777, 01777}) {
    ::chmod(file.parent_path().c_str(), mode);
    EXPECT_EQ(rule_of(file.parent_path()), "writable-by-others") << mode;
    EXPECT_EQ(rule_of(file), "writable-by-others") << mode;
  }
}

TEST_F(PluginTrustTest, FolderFarAboveCounts) {
  ::chmod((dir / "a").c_str(), 0777);
  EXPECT_EQ(rule_of(file), "writable-by-others");
  EXPECT_EQ(rule_of(file.parent_path()), "writable-by-others");
}

TEST_F(PluginTrustTest, LinkIsFollowedToWhereItLeads) {
  fs::create_directory(dir / "own");
  fs::create_symlink(file, dir / "own/plugin.so");
  fs::create_directory_symlink(dir / "a", dir / "own/folder");
  EXPECT_EQ(rule_of(dir / "own/plugin.so"), "");
  EXPECT_EQ(rule_of(dir / "own/folder/b"), "");
  ::chmod((dir / "a").c_str(), 0777);
  EXPECT_EQ(rule_of(dir / "own/plugin.so"), "writable-by-others");
  EXPECT_EQ(rule_of(dir / "own/folder/b"), "writable-by-others");
}

TEST_F(PluginTrustTest, FolderThatHoldsTheLinkCountsToo) {
  fs::create_directory(dir / "open");
  fs::create_directory_symlink(dir / "a/b", dir / "open/link");
  ::chmod((dir / "open").c_str(), 0777);
  EXPECT_EQ(rule_of(dir / "open/link/plugin.so"), "writable-by-others");
}

}  // namespace
}  // namespace tenon
