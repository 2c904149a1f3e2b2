#include "app/event_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/growing_file.h"
#include "support/error_matchers.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;
using testing::TempDir;

// What the tensorboard package reads of whole files: tests/parity/logs_test.py.
TEST(EventRecord, TheChecksumIsCastagnolis) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(""), 0U);
}

TEST(EventRecord, AFileBeginsAsTensorBoardsOwn) {
  // Of tensorboard.summary.writer with wall_time = 1.
  const std::string record = event_file_start(1);
  EXPECT_EQ(record.size(), 8 + 4 + 9 + 2 + 13 + 4U);
  EXPECT_EQ(record[0], 24);
  EXPECT_THAT(record, HasSubstr("brain.Event:2"));
}

TEST(GrowingFile, AddsToWhatIsKeptAndCutsTheRest) {
  const TempDir dir;
  dir.write("log", "one\ntwo\nthr");
  GrowingFile file(dir / "log", 8);
  file.add("four\n");
  file.sync();
  EXPECT_EQ(read_text_file(dir / "log", Stage::kOutput), "one\ntwo\nfour\n");
  EXPECT_EQ(file.size(), 13);
}

TEST(GrowingFile, WhatCannotBeWrittenIsAnErrorWithItsPlace) {
  const TempDir dir;
  EXPECT_THAT(error_text([&] { GrowingFile(dir / "no/log", 0); }),
              HasSubstr("no/log: the log cannot be opened: No such file or directory"));
  EXPECT_THAT(error_text([&] { GrowingFile("/dev/full", 0); }),
              HasSubstr("/dev/full: the log is no regular file"));
}

}  // namespace
}  // namespace tenon
