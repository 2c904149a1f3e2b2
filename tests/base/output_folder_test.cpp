#include "base/output_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "base/file.h"
#include "base/output_file.h"
#include "faults/fault_sweep.h"
#include "support/error_matchers.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;
using testing::ChildEnd;
using testing::contents_of;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::run_with_fault;
using testing::sweep_faults;
using testing::TempDir;
using ::testing::UnorderedElementsAre;

std::vector<FolderFile> files_of(const std::string& state) {
  const auto writer = [](std::string text) {
    return [text](const fs::path& path) { write_file(path, text); };
  };
  return {{"tensors", writer(state + " tensors")},
          {"config", writer(state + " config")},
          {"second/config", writer(state + " second")}};
}

void save(const fs::path& folder, const std::string& state) {
  OutputFolder(folder, "the adapter").write(files_of(state));
}

std::set<std::string> names_of(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

mode_t mode_of(const fs::path& path) {
  struct stat facts {};
  ::stat(path.c_str(), &facts);
  return facts.st_mode & 07777;
}

using Contents = std::map<std::string, std::string>;
Contents whole(const std::string& state) {
  return {{"tensors", state + " tensors"},
          {"config", state + " config"},
          {"second", ""},
          {"second/config", state + " second"}};
}
Contents with_others(Contents contents) {
  contents.merge(Contents{{"second", ""},
                          {"notes.txt", "mine"},
                          {"second/log", "also mine"},
                          {"third", ""},
                          {"third/deep", ""},
                          {"third/deep/file", "x"}});
  return contents;
}

TEST(OutputFolderTest, FilesReplaceThoseOfTheirNamesAndOthersStay) {
  const TempDir dir;
  const fs::path folder = dir / "a/b/adapter";
  save(folder, "old");
  EXPECT_EQ(contents_of(folder), whole("old"));
  dir.write("a/b/adapter/notes.txt", "mine");
  dir.write("a/b/adapter/second/log", "also mine");
  dir.write("a/b/adapter/third/deep/file", "x");
  save(folder, "new");
  EXPECT_EQ(contents_of(folder), with_others(whole("new")));
  EXPECT_THAT(names_of(dir / "a/b"), UnorderedElementsAre("adapter"));
}

TEST(OutputFolderTest, PermissionsOfFilesAndFoldersAreKept) {
  const TempDir dir;
  save(dir / "adapter", "old");
  ::chmod((dir / "adapter/tensors").c_str(), 0600);
  ::chmod((dir / "adapter/second/config").c_str(), 0640);
  ::chmod((dir / "adapter/second").c_str(), 0750);
  ::chmod((dir / "adapter").c_str(), 0700);
  save(dir / "adapter", "new");
  EXPECT_EQ(contents_of(dir / "adapter"), whole("new"));
  EXPECT_EQ(mode_of(dir / "adapter/tensors"), 0600);
  EXPECT_EQ(mode_of(dir / "adapter/second/config"), 0640);
  EXPECT_EQ(mode_of(dir / "adapter/second"), 0750);
  EXPECT_EQ(mode_of(dir / "adapter"), 0700);
}

TEST(OutputFolderTest, FolderIsWrittenThroughALink) {
  const TempDir dir;
  save(dir / "real", "old");
  fs::create_directory_symlink("real", dir / "link");
  save(dir / "link", "new");
  EXPECT_TRUE(fs::is_symlink(dir / "link"));
  EXPECT_EQ(contents_of(dir / "real"), whole("new"));
}

TEST(OutputFolderTest, FoldersThatGotNothingAreRemovedAgain) {
  const TempDir dir;
  { const OutputFolder folder(dir / "a/b/c", "the adapter"); }
  EXPECT_THAT(names_of(dir.path()), IsEmpty());
}

TEST(OutputFolderTest, AnotherProcessIsNamedThatHasTheFolder) {
  const TempDir dir;
  int ready[2];
  int done[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(done), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    OutputFolder folder(dir / "adapter", "the adapter");
    folder.write(files_of("other"));  // afterwards it is another folder, and locked all the same
    char byte = 0;
    ::close(done[1]);
    (void)!::write(ready[1], "x", 1);
    (void)!::read(done[0], &byte, 1);
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_THAT(
      error_text([&] { save(dir / "adapter", "mine"); }),
      HasSubstr("adapter: the adapter cannot be saved here: process " + std::to_string(child) +
                " is writing to this folder\n  wait until it is "
                "done, or give another folder"));
  ::close(done[1]);
  ::waitpid(child, nullptr, 0);
  save(dir / "adapter", "mine");
  EXPECT_EQ(contents_of(dir / "adapter"), whole("mine"));
}

TEST(OutputFolderTest, StraysOfKilledProcessesAreRemovedAndNothingElse) {
  const TempDir dir;
  const std::string stray = ".tenon-0123456789abcdef";
  dir.write(stray + "/tensors", "half");
  dir.write("adapter/" + stray, "half");
  dir.write(".tenon-saving-7/file", "x");
  dir.write(".tenon-0123456789ABCDEF", "x");
  save(dir / "adapter", "new");
  EXPECT_EQ(contents_of(dir / "adapter"), whole("new"));
  EXPECT_THAT(names_of(dir.path()),
              UnorderedElementsAre("adapter", ".tenon-saving-7", ".tenon-0123456789ABCDEF"));
}

TEST(OutputFolderTest, AFolderIsPutInsideReplacedAndRemovedAndOthersStay) {
  const TempDir dir;
  OutputFolder folder(dir / "run", "the checkpoint");
  dir.write("run/notes.txt", "mine");
  folder.put_folder("checkpoint-1", files_of("one"));
  folder.put_folder("checkpoint-2", files_of("two"));
  folder.put_folder("checkpoint-2", files_of("other"));
  EXPECT_EQ(contents_of(dir / "run/checkpoint-1"), whole("one"));
  EXPECT_EQ(contents_of(dir / "run/checkpoint-2"), whole("other"));
  folder.remove_folder("checkpoint-1");
  folder.remove_folder("checkpoint-1");  // is gone already
  EXPECT_THAT(names_of(dir / "run"), UnorderedElementsAre("checkpoint-2", "notes.txt"));
}

// Whatever fails, and whoever is killed: of a folder put inside there is all or nothing.
TEST(OutputFolderTest, EveryFailureAndKillLeavesFoldersInsideWhole) {
  const TempDir dir;
  const Contents one = whole("one");
  const Contents two = whole("two");
  const auto inside = [&](const char* name) { return contents_of(dir / "run" / name); };
  int trials = 0;
  sweep_faults([&](long at, int code) {
    SCOPED_TRACE("call " + std::to_string(at) + ", code " + std::to_string(code));
    fs::remove_all(dir / "run");
    OutputFolder(dir / "run", "the checkpoint").put_folder("checkpoint-1", files_of("one"));
    bool reached = false;
    const ChildEnd end = run_with_fault(
        dir.path(), at, code, FAULT_NO_SYNC,
        [&] {
          OutputFolder folder(dir / "run", "the checkpoint");
          folder.put_folder("checkpoint-2", files_of("two"));
          folder.remove_folder("checkpoint-1");
        },
        reached);
    const Contents second = inside("checkpoint-2");
    EXPECT_TRUE(second.empty() || second == two) << ::testing::PrintToString(second);
    const Contents first = inside("checkpoint-1");
    EXPECT_TRUE(first == one || (first.empty() && second == two));
    if (end == ChildEnd::kDone) {
      EXPECT_EQ(second, two);
    }
    { const OutputFolder next(dir / "run", "the checkpoint"); }
    for (const std::string& name : names_of(dir / "run")) {
      EXPECT_THAT(name, ::testing::StartsWith("checkpoint-"));
    }
    ++trials;
    return reached && !HasFailure();
  });
  EXPECT_GT(trials, 30);
}

// What each test of the sweep below starts from and has to end as.
struct SweepCase {
  const char* name;
  bool has_old;
  bool has_others;
  int flags;
};

class OutputFolderSweep : public ::testing::TestWithParam<SweepCase> {};

TEST_P(OutputFolderSweep, EveryFailureAndKillLeavesTheOldOrTheNewAndNoStray) {
  const SweepCase& given = GetParam();
  const TempDir dir;
  const fs::path folder = dir / "adapter";
  const auto prepare = [&] {
    fs::remove_all(folder);
    if (given.has_old) {
      for (const auto& [name, text] : whole("old")) {
        if (!text.empty()) dir.write("adapter/" + name, text);
      }
    }
    if (!given.has_others) return;
    for (const auto& [name, text] : with_others({})) {
      if (!text.empty()) dir.write("adapter/" + name, text);
    }
  };
  const auto expected = [&](const Contents& state) {
    return given.has_others ? with_others(state) : state;
  };
  const auto old = expected(given.has_old ? whole("old") : Contents{});
  const bool one_by_one = (given.flags & FAULT_NO_EXCHANGE) != 0 && given.has_old;
  Contents between = expected(whole("new"));
  between["second/config"] = "old second";
  int trials = 0;
  sweep_faults([&](long at, int code) {
    SCOPED_TRACE("call " + std::to_string(at) + ", code " + std::to_string(code));
    prepare();
    bool reached = false;
    const ChildEnd end = run_with_fault(
        dir.path(), at, code, given.flags | FAULT_NO_SYNC, [&] { save(folder, "new"); }, reached);
    if (one_by_one) {
      finish_replacement(folder);
      finish_replacement(folder / "second");
    }
    Contents found = contents_of(folder);
    // A killed process's half is there until the next; beside it, all is old or new.
    std::erase_if(found, [](const auto& file) { return file.first.starts_with(".tenon-"); });
    std::erase_if(found, [](const auto& f) { return f.first.starts_with("second/.tenon-"); });
    const Contents fresh = expected(whole("new"));
    // One by one, each of the two folders is whole by itself.
    if (one_by_one && found == between) found = fresh;
    EXPECT_TRUE(found == old || found == fresh) << ::testing::PrintToString(found);
    if (end == ChildEnd::kDone) {
      EXPECT_EQ(found, fresh);
    }
    bool unused = false;
    EXPECT_EQ(
        run_with_fault(
            dir.path(), 0, 0, given.flags | FAULT_NO_SYNC, [&] { save(folder, "next"); }, unused),
        ChildEnd::kDone);
    EXPECT_EQ(contents_of(folder), expected(whole("next")));
    EXPECT_THAT(names_of(dir.path()), UnorderedElementsAre("adapter"));
    ++trials;
    return reached && !HasFailure();
  });
  EXPECT_GT(trials, 60);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, OutputFolderSweep,
    ::testing::Values(SweepCase{"NewFolder", false, false, 0},
                      SweepCase{"OldAdapter", true, false, 0},
                      SweepCase{"OldAdapterAndOtherFiles", true, true, 0},
                      SweepCase{"OtherFiles", false, true, 0},
                      SweepCase{"WithoutExchange", true, true, FAULT_NO_EXCHANGE},
                      SweepCase{"WithoutUnnamedFiles", true, true, FAULT_NO_UNNAMED}),
    [](const auto& test) { return test.param.name; });

class OutputFileSweep : public ::testing::TestWithParam<std::tuple<bool, int>> {};

TEST_P(OutputFileSweep, EveryFailureAndKillLeavesTheOldOrTheNewAndNoStray) {
  const auto& [has_old, flags] = GetParam();
  const TempDir dir;
  sweep_faults([&, has_old = has_old, flags = flags](long at, int code) {
    SCOPED_TRACE("call " + std::to_string(at) + ", code " + std::to_string(code));
    fs::remove(dir / "out");
    if (has_old) dir.write("out", "old");
    bool reached = false;
    const ChildEnd end = run_with_fault(
        dir.path(), at, code, flags | FAULT_NO_SYNC, [&] { write_file(dir / "out", "new"); },
        reached);
    Contents found = contents_of(dir.path());
    std::erase_if(found, [](const auto& file) { return file.first.starts_with(".tenon-"); });
    const Contents old = has_old ? Contents{{"out", "old"}} : Contents{};
    EXPECT_TRUE(found == old || found == (Contents{{"out", "new"}}));
    if (end == ChildEnd::kDone) {
      EXPECT_EQ(found, (Contents{{"out", "new"}}));
    }
    write_file(dir / "out", "next");
    EXPECT_EQ(contents_of(dir.path()), (Contents{{"out", "next"}}));
    return reached && !HasFailure();
  });
}

INSTANTIATE_TEST_SUITE_P(Cases, OutputFileSweep,
                         ::testing::Combine(::testing::Bool(),
                                            ::testing::Values(0, FAULT_NO_UNNAMED)));

TEST(OutputFileTest, ReplacedFileGivesItsPermissions) {
  const TempDir dir;
  dir.write("out", "old");
  ::chmod((dir / "out").c_str(), 0600);
  write_file(dir / "out", "new");
  EXPECT_EQ(mode_of(dir / "out"), 0600);
  EXPECT_EQ(read_text_file(dir / "out", Stage::kOutput), "new");
}

TEST(OutputFileTest, LinkIsFollowedAndStays) {
  const TempDir dir;
  dir.write("folder/file", "old");
  fs::create_symlink("folder/file", dir / "link");
  fs::create_symlink("nowhere", dir / "broken");
  write_file(dir / "link", "new");
  EXPECT_TRUE(fs::is_symlink(dir / "link"));
  EXPECT_EQ(read_text_file(dir / "folder/file", Stage::kOutput), "new");
  EXPECT_THAT(error_text([&] { write_file(dir / "broken", "new"); }),
              HasSubstr("it is a link that leads nowhere"));
}

TEST(OutputFileTest, WhatIsNoRegularFileIsNeverReplaced) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  for (const fs::path& path : {dir / "pipe", fs::path("/dev/null")}) {
    EXPECT_THAT(error_text([&] { write_file(path, "x"); }), HasSubstr("it is not a regular file"));
  }
}

TEST(OutputFileTest, FileThatAppearsMeanwhileIsKeptUnlessItMayBeReplaced) {
  for (const int flags : {0, static_cast<int>(FAULT_NO_UNNAMED)}) {
    const TempDir dir;
    bool unused = false;
    EXPECT_EQ(run_with_fault(
                  dir.path(), 0, 0, flags,
                  [&] {
                    OutputFile file(dir / "out", Existing::kRefused);
                    file.write("mine");
                    file.finish();
                    write_file(dir / "out", "another's");
                    file.publish();
                  },
                  unused),
              ChildEnd::kFailed);
    EXPECT_EQ(contents_of(dir.path()), (Contents{{"out", "another's"}}));
  }
}

}  // namespace
}  // namespace tenon
