#include "plugin/plugin_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>

#include "base/file.h"
#include "base/hash.h"
#include "support/error_matchers.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using testing::TempDir;

// A folder with a plugin that makes the file `mark` when its code runs.
struct MarkedPlugin {
  MarkedPlugin() {
    fs::create_directory(dir / "plugins");
    fs::copy(TENON_MARKED_PLUGIN, file);
    ::setenv("TENON_MARK", (dir / "mark").c_str(), 1);
  }
  bool has_run() const { return fs::exists(dir / "mark"); }

  TempDir dir;
  fs::path file = dir / "plugins/marked.so";
};

const PluginInfo* found(const PluginRegistry& registry, const std::string& id) {
  const auto all = registry.plugins();
  const auto plugin = std::ranges::find(all, id, [](const PluginInfo* each) { return each->id; });
  return plugin == all.end() ? nullptr : *plugin;
}

TEST(PluginRegistryTest, PluginIsToldFromItsFileAndRunsWhenItIsAskedFor) {
  const MarkedPlugin marked;
  const PluginRegistry registry({}, {marked.dir / "plugins"});
  const PluginInfo* plugin = found(registry, "acme.marked");
  ASSERT_NE(plugin, nullptr);
  EXPECT_EQ(plugin->version, "1.2.3");
  EXPECT_EQ(plugin->sha256, sha256_hex(MappedFile(marked.file, Stage::kPlugins).text()));
  ASSERT_EQ(plugin->offer.layer_types.size(), 1);
  EXPECT_EQ(plugin->offer.layer_types[0].id, "acme.marked");
  EXPECT_EQ(plugin->offer.layer_types[0].method, "lora");
  EXPECT_THAT(plugin->offer.layer_types[0].base_types, ElementsAre("acme.Marked", "*.MarkedToo"));
  ASSERT_EQ(plugin->offer.methods.size(), 1);
  EXPECT_EQ(plugin->offer.methods[0], (OfferedMethod{"marked", "MARKED", false}));
  EXPECT_THAT(registry.supported_types("lora"), ::testing::Contains("acme.Marked"));
  EXPECT_EQ(registry.find("lora", "torch.nn.Unheard"), nullptr);
  EXPECT_EQ(registry.find("ia3", "acme.Marked"), nullptr);
  EXPECT_FALSE(plugin->is_loaded);
  EXPECT_FALSE(marked.has_run());

  const LayerType* layer_type = registry.find("lora", "any.MarkedToo");
  ASSERT_NE(layer_type, nullptr);
  EXPECT_EQ(layer_type->id(), "acme.marked");
  EXPECT_TRUE(plugin->is_loaded);
}

TEST(PluginRegistryTest, MethodOfAPluginLoadsIt) {
  const MarkedPlugin marked;
  const PluginRegistry registry({}, {marked.dir / "plugins"});
  EXPECT_THAT(registry.methods().names(), ::testing::Contains("marked"));
  EXPECT_FALSE(found(registry, "acme.marked")->is_loaded);
  ASSERT_NE(registry.methods().find("marked"), nullptr);
  EXPECT_TRUE(found(registry, "acme.marked")->is_loaded);
}

TEST(PluginRegistryTest, PinnedPluginIsOpenedFromWhatWasHashed) {
  const MarkedPlugin marked;
  PluginsConfig config;
  config.sha256["acme.marked"] = sha256_hex(MappedFile(marked.file, Stage::kPlugins).text());
  const PluginRegistry registry(config, {marked.dir / "plugins"});
  // Another file takes its place between the look at it and its loading.
  fs::remove(marked.file);
  fs::copy(TENON_ECHO_PLUGIN, marked.file);
  EXPECT_EQ(registry.find("lora", "acme.Marked"), nullptr);
  EXPECT_FALSE(marked.has_run());
  fs::remove(marked.file);
  fs::copy(TENON_MARKED_PLUGIN, marked.file);
  const PluginRegistry again(config, {marked.dir / "plugins"});
  EXPECT_NE(again.find("lora", "acme.Marked"), nullptr);
}

TEST(PluginRegistryTest, FileThatTheConfigNamesIsLoadedAtOnceAndItsFolderIsTrusted) {
  const MarkedPlugin marked;
  PluginsConfig config;
  config.files = {marked.file};
  ::chmod((marked.dir / "plugins").c_str(), 0777);
  EXPECT_THAT(error_text([&] { const PluginRegistry registry(config, {}); }),
              HasSubstr("plugins can be changed by any user of this machine"));
  EXPECT_FALSE(marked.has_run());
  ::chmod((marked.dir / "plugins").c_str(), 0755);
  const PluginRegistry registry(config, {});
  EXPECT_TRUE(found(registry, "acme.marked")->is_loaded);
}

}  // namespace
}  // namespace tenon
