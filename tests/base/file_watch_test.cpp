#include "base/file_watch.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "base/file.h"
#include "support/error_matchers.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TempDir;

constexpr std::size_t kLarge = std::size_t{4} << 20U;  // more than is copied

TEST(FileWatchTest, FileThatIsWrittenOverIsTold) {
  const TempDir dir;
  const auto path = dir.write("weights", std::string(kLarge, 'a'));
  const MappedFile file(path, Stage::kModel);
  EXPECT_THAT(changed_files(), IsEmpty());
  EXPECT_NO_THROW(require_unchanged_files(Stage::kModel));
  std::ofstream(path, std::ios::in | std::ios::binary) << "b";
  EXPECT_THAT(changed_files(),
              ElementsAre("`" + path.string() + "` was written to while it was read"));
  EXPECT_THAT(error_text([] { require_unchanged_files(Stage::kModel); }),
              HasSubstr("was written to while it was read; nothing was written"));
}

TEST(FileWatchTest, FileThatAnotherTakesThePlaceOfIsAsItWas) {
  const TempDir dir;
  const auto path = dir.write("weights", std::string(kLarge, 'a'));
  const MappedFile file(path, Stage::kModel);
  std::filesystem::rename(dir.write("new", "another"), path);
  EXPECT_THAT(changed_files(), IsEmpty());
  EXPECT_EQ(file.text()[kLarge - 1], 'a');
}

TEST(FileWatchTest, FileThatIsNoLongerMappedIsForgotten) {
  const TempDir dir;
  const auto path = dir.write("weights", std::string(kLarge, 'a'));
  { const MappedFile file(path, Stage::kModel); }
  dir.write("weights", "b");
  EXPECT_THAT(changed_files(), IsEmpty());
}

TEST(FileWatchTest, SmallFileIsCopiedSoThatNothingChangesUnderItsReader) {
  const TempDir dir;
  const auto path = dir.write("weights", std::string(100'000, 'a'));
  const MappedFile file(path, Stage::kModel);
  std::filesystem::resize_file(path, 1);
  EXPECT_EQ(std::count(file.text().begin(), file.text().end(), 'a'), 100'000);
  EXPECT_THAT(changed_files(), IsEmpty());
}

// In a process of its own: what it sets stays set.
TEST(FileWatchTest, FileThatIsCutShortReadsAsZerosAndIsNamed) {
  const TempDir dir;
  const auto path = dir.write("weights", std::string(kLarge, 'a'));
  const pid_t child = ::fork();
  if (child == 0) {
    survive_lost_files();
    const MappedFile file(path, Stage::kModel);
    std::filesystem::resize_file(path, 10'000);
    bool good = !is_file_lost();
    good = good && file.text()[0] == 'a' && file.text()[kLarge - 1] == '\0' &&
           file.text()[20'000] == '\0' && is_file_lost();
    const auto problems = changed_files();
    good = good && problems.size() == 1 &&
           problems[0] == "`" + path.string() + "` was cut short while it was read";
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status)) << "by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(FileWatchTest, OtherBusErrorsEndTheProcessAsEver) {
  const TempDir dir;
  const auto path = dir.write("other", std::string(10'000, 'a'));
  const pid_t child = ::fork();
  if (child == 0) {
    survive_lost_files();
    const int number = ::open(path.c_str(), O_RDONLY);
    const auto* bytes = static_cast<const volatile char*>(
        ::mmap(nullptr, 10'000, PROT_READ, MAP_PRIVATE, number, 0));
    std::filesystem::resize_file(path, 0);
    ::_exit(bytes[5000]);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGBUS);
}

}  // namespace
}  // namespace tenon
