#include "base/output_place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "support/error_matchers.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;
using testing::error_text;
using ::testing::HasSubstr;
using testing::TempDir;

std::string refusal(const fs::path& output, const std::vector<InputPath>& inputs = {},
                    bool force = true) {
  return error_text([&] {
    check_output_file({"--outputs", output, Stage::kCommandLine, force}, inputs);
  });
}

TEST(OutputPlaceTest, InputIsRefusedByWhateverNameItHas) {
  const TempDir dir;
  const fs::path input = dir.write("data/in.safetensors", "x");
  fs::create_symlink(input, dir / "soft");
  fs::create_hard_link(input, dir / "hard");
  fs::create_directory_symlink("data", dir / "folder");
  const std::vector<InputPath> inputs = {{"the config", dir / "nowhere"}, {"--inputs", input}};
  for (const fs::path& output : {input, dir / "soft", dir / "hard", dir / "folder/in.safetensors",
                                 dir / "data/../data/in.safetensors"}) {
    EXPECT_EQ(
        refusal(output, inputs),
        "--outputs " + output.string() +
            " is --inputs itself, which this command reads\n  give what is written a place of "
            "its own");
  }
}

TEST(OutputPlaceTest, FileInAFolderThatIsReadIsRefusedAndANewOneIsNot) {
  const TempDir dir;
  dir.write("images/cats/1.jpg", "x");
  const std::vector<InputPath> inputs = {{"[data] train", dir / "images"}};
  EXPECT_THAT(refusal(dir / "images/cats/1.jpg", inputs),
              HasSubstr("1.jpg is part of [data] train itself, which this command reads"));
  EXPECT_NO_THROW(check_output_file({"--outputs", dir / "images/out"}, inputs));
  EXPECT_FALSE(fs::exists(dir / "images/out"));
}

TEST(OutputPlaceTest, DevicesPipesAndFoldersAreRefused) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  fs::create_symlink("/dev/null", dir / "null");
  for (const fs::path& output : {dir / "pipe", dir / "null", fs::path("/dev/null")}) {
    EXPECT_THAT(refusal(output), HasSubstr("is a device or a pipe, not a regular file"));
  }
  EXPECT_THAT(refusal(dir.path()), HasSubstr("is a folder"));
}

TEST(OutputPlaceTest, ExistingFileNeedsForce) {
  const TempDir dir;
  const fs::path file = dir.write("out", "mine");
  EXPECT_THAT(refusal(file, {}, false),
              HasSubstr("is there already\n  name another file, or say --force to replace it"));
  EXPECT_NO_THROW(check_output_file({"--outputs", file, Stage::kOutput, true}, {}));
  EXPECT_EQ(fs::file_size(file), 4U);
}

TEST(OutputPlaceTest, PlaceThatCannotBeWrittenIsToldBefore) {
  const TempDir dir;
  EXPECT_THAT(refusal(dir / "no/out"), HasSubstr("No such file or directory"));
  EXPECT_THAT(refusal("/proc/out"), HasSubstr("cannot write `/proc/out`"));
}

TEST(OutputPlaceTest, TooLittleRoomIsToldWithBothNumbers) {
  const TempDir dir;
  EXPECT_NO_THROW(require_space(dir / "a/b", 1000));
  EXPECT_THAT(error_text([&] { require_space(dir / "a/b", std::uint64_t{1} << 60U); }),
              HasSubstr("a/b: there is too little room: 1099511627777 MB are to be saved, "));
}

TEST(OutputPlaceTest, PlaceBesideIsOneThatNothingHas) {
  const TempDir dir;
  EXPECT_EQ(free_place_beside(dir / "adapter", ".interrupted"), dir / "adapter.interrupted");
  EXPECT_EQ(free_place_beside(dir / "adapter/", ".interrupted"), dir / "adapter.interrupted");
  EXPECT_EQ(free_place_beside(dir / "m.safetensors", ".diverged"), dir / "m.diverged.safetensors");
  dir.write("adapter.interrupted", "x");
  dir.write("adapter.interrupted-2", "x");
  EXPECT_EQ(free_place_beside(dir / "adapter", ".interrupted"), dir / "adapter.interrupted-3");
}

}  // namespace
}  // namespace tenon
