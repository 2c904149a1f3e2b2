#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <csignal>

#include "support/error_matchers.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using testing::TempDir;

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename());
  }
  return names;
}

// Makes every write beyond `bytes` fail with EFBIG, for root too; undone when it goes.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_limit_);
    rlimit limit = old_limit_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_limit_);
    std::signal(SIGXFSZ, old_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  void (*old_handler_)(int);
  rlimit old_limit_{};
};

TEST(MappedFile, ShowsTheBytesOfTheFile) {
  const TempDir dir;
  const MappedFile file(dir.write("weights", std::string("a\0b", 3)), Stage::kModel);
  EXPECT_EQ(file.text(), std::string_view("a\0b", 3));
  EXPECT_EQ(file.bytes().size(), 3U);
  EXPECT_EQ(file.path(), dir / "weights");
}

TEST(MappedFile, KeepsWritesFromTheFile) {
  const TempDir dir;
  const auto path = dir.write("weights", "abc");
  {
    const MappedFile file(path, Stage::kModel);
    file.bytes()[0] = std::byte{'X'};
    EXPECT_EQ(file.text(), "Xbc");
  }
  EXPECT_EQ(read_text_file(path, Stage::kModel), "abc");
}

TEST(MappedFile, TakesAnEmptyFile) {
  const TempDir dir;
  const MappedFile file(dir.write("empty", ""), Stage::kModel);
  EXPECT_TRUE(file.bytes().empty());
  EXPECT_EQ(file.text(), "");
}

TEST(MappedFile, SaysWhatIsMissingInTheCallersStage) {
  const TempDir dir;
  const std::string path = (dir / "gone.pt2").string();
  try {
    const MappedFile file(path, Stage::kAdapter);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.failure().stage, Stage::kAdapter);
    EXPECT_EQ(std::string(error.what()), "cannot read `" + path + "`: No such file or directory");
  }
}

TEST(MappedFile, RefusesAFolderAndAPipe) {
  const TempDir dir;
  EXPECT_THAT(error_text([&] { MappedFile(dir.path(), Stage::kModel); }),
              HasSubstr("it is a folder, not a file"));
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(error_text([&] { MappedFile(dir / "pipe", Stage::kModel); }),
              HasSubstr("it is not a regular file"));
}

TEST(ReadTextFile, ReturnsTheWholeText) {
  const TempDir dir;
  const std::string text(100'000, 'x');
  EXPECT_EQ(read_text_file(dir.write("a.txt", text), Stage::kConfig), text);
  EXPECT_EQ(read_text_file(dir.write("b.txt", ""), Stage::kConfig), "");
}

TEST(ReadTextFile, SaysThatAFileIsMissing) {
  const TempDir dir;
  EXPECT_THAT(error_text([&] { read_text_file(dir / "x.toml", Stage::kConfig); }),
              HasSubstr("x.toml`: No such file or directory"));
}

TEST(WriteFile, WritesThePartsOneAfterTheOther) {
  const TempDir dir;
  const std::array<std::string_view, 3> parts = {"one ", "", "two"};
  write_file(dir / "out", parts);
  EXPECT_EQ(read_text_file(dir / "out", Stage::kOutput), "one two");
  EXPECT_THAT(names_in(dir.path()), ElementsAre("out"));
}

TEST(WriteFile, ReplacesTheOldFile) {
  const TempDir dir;
  dir.write("out", "something much longer than the new text");
  write_file(dir / "out", "new");
  EXPECT_EQ(read_text_file(dir / "out", Stage::kOutput), "new");
}

TEST(WriteFile, FailureInTheMiddleLeavesTheOldFileAndNoTemporary) {
  const TempDir dir;
  dir.write("out", "old");
  std::string text;
  {
    const FileSizeLimit limit(1000);
    text = error_text([&] { write_file(dir / "out", std::string(5000, 'x')); });
  }
  EXPECT_EQ(text, "cannot write `" + (dir / "out").string() +
                      "`: File too large\n  free some space or raise the limit and run again; "
                      "nothing was changed on disk");
  EXPECT_EQ(read_text_file(dir / "out", Stage::kOutput), "old");
  EXPECT_THAT(names_in(dir.path()), ElementsAre("out"));
}

TEST(WriteFile, FailureToRenameLeavesNoTemporary) {
  const TempDir dir;
  std::filesystem::create_directories(dir / "out/inside");
  EXPECT_THAT(error_text([&] { write_file(dir / "out", "text"); }), HasSubstr("Is a directory"));
  EXPECT_THAT(names_in(dir.path()), ElementsAre("out"));
}

TEST(WriteFile, SaysThatTheFolderIsMissing) {
  const TempDir dir;
  const std::string path = (dir / "no/out").string();
  EXPECT_THAT(error_text([&] { write_file(path, "text"); }),
              HasSubstr("cannot write `" + path + "`: No such file or directory"));
}

}  // namespace
}  // namespace tenon
