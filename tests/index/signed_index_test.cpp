#include "index/signed_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/ed25519.h"
#include "index/host_fit.h"
#include "support/error_matchers.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;

const std::string kKey(32, 'k');

IndexedFile some_file() {
  return {"1.2.0", "acme.fancy-1.2.0.so", std::string(64, 'a'), 100, "linux-x86_64", "1.0", "2.0"};
}

PluginIndex some_index() {
  return {"Acme",
          7,
          {{"acme.fancy",
            "Grüße",
            "MIT",
            "https://acme.example",
            {"fancy"},
            {{"lora", {"acme.Fancy", "*.Other"}}},
            {some_file()}}}};
}

std::string refusal(const std::string& text) {
  return error_text([&] { read_signed_index(text, "https://acme.example/index.json"); });
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(SignedIndexTest, WhatIsSignedIsReadBack) {
  const SignedIndex read = read_signed_index(signed_text(some_index(), kKey), "here");
  EXPECT_EQ(read.index, some_index());
  EXPECT_EQ(read.key, key_text(public_key_of(kKey)));
}

TEST(SignedIndexTest, AnythingChangedIsRefusedWithTheKeyThatSignedTheRest) {
  const std::string text = signed_text(some_index(), kKey);
  for (const auto& [from, to] : {std::pair{"1.2.0", "1.2.1"},
                                 {"aaaa", "aaab"},
                                 {"Grüße", "Gruesse"},
                                 {"\"serial\": 7", "\"serial\": 8"},
                                 {"\"plugins\"", "\"more\": 1, \"plugins\""}}) {
    EXPECT_THAT(refusal(replaced(text, from, to)),
                HasSubstr("is not what " + key_text(public_key_of(kKey)) + " signed"));
  }
}

TEST(SignedIndexTest, SpacesAndTheOrderOfKeysAreNotSigned) {
  const std::string text = signed_text(some_index(), kKey);
  EXPECT_EQ(read_signed_index(replaced(text, "\"serial\": 7", "\"serial\":   7"), "here").index,
            some_index());
}

TEST(SignedIndexTest, AFileThatLeadsElsewhereIsRefusedThoughItIsSigned) {
  for (const char* file : {"../x.so", "/x.so", "https://evil.example/x.so", "a b.so", "x.txt",
                           ".x.so", "x.so?y.so#.so/"}) {
    PluginIndex index = some_index();
    index.plugins[0].files[0].file = file;
    EXPECT_THAT(refusal(signed_text(index, kKey)),
                HasSubstr("in plugins[0].files[0], has a wrong `file`"))
        << file;
  }
}

TEST(SignedIndexTest, AnIndexOfALaterFormatAndWhatIsNoneAreNamed) {
  const std::string text = signed_text(some_index(), kKey);
  EXPECT_THAT(refusal(replaced(text, "\"format\": 1", "\"format\": 2")),
              HasSubstr("is of format 2, this Tenon reads format 1"));
  EXPECT_THAT(refusal("<html>"), HasSubstr("the index of plugins is"));
  EXPECT_THAT(refusal("{}"), HasSubstr("has no `format`"));
  EXPECT_THAT(refusal(replaced(text, "ed25519:", "rsa:")), HasSubstr("is no key"));
}

TEST(HostFitTest, TheNewestVersionThatRunsHereIsTaken) {
  const HostFacts host{"linux-x86_64", "1.0", "2.13.0+cpu"};
  IndexedPlugin plugin = some_index().plugins[0];
  for (const auto& [version, platform, minimum, libtorch] :
       {std::array<const char*, 4>{"1.10.0", "linux-x86_64", "1.0", ""},
        {"1.11.0", "linux-aarch64", "1.0", ""},
        {"1.12.0", "linux-x86_64", "1.1", ""},
        {"1.13.0", "linux-x86_64", "1.0", "2.12.0+cpu"}}) {
    IndexedFile file = some_file();
    file.version = version;
    file.platform = platform;
    file.abi_minimum = minimum;
    file.libtorch = libtorch;
    plugin.files.push_back(file);
  }
  EXPECT_EQ(newest_fitting(plugin, host)->version, "1.10.0");
  EXPECT_EQ(newest_fitting(plugin, host, "1.2.0")->version, "1.2.0");
  EXPECT_EQ(newest_fitting(plugin, host, "1.11.0"), nullptr);
  EXPECT_EQ(find_misfit(plugin.files[2], host), "it is for linux-aarch64, this is linux-x86_64");
  EXPECT_EQ(find_misfit(plugin.files[3], host),
            "it needs plugin ABI 1.1 or newer, below 2.0, this Tenon offers 1.0");
  EXPECT_EQ(find_misfit(plugin.files[4], host),
            "it needs exactly LibTorch 2.12.0+cpu, this Tenon runs on 2.13.0+cpu");
}

}  // namespace
}  // namespace tenon
