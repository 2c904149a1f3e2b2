#include "base/log.h"

#include <gtest/gtest.h>

#include <string>

namespace tenon {
namespace {

std::string logged_at(log::Level level) {
  log::configure(level);
  ::testing::internal::CaptureStderr();
  log::debug("one");
  log::info("two {} %v");
  log::warning("three");
  log::error("four");
  return ::testing::internal::GetCapturedStderr();
}

TEST(Log, PrefixesEverythingButInformation) {
  EXPECT_EQ(logged_at(log::Level::kDebug), "debug: one\ntwo {} %v\nwarning: three\nerror: four\n");
}

TEST(Log, HidesWhatIsBelowTheLevel) {
  EXPECT_EQ(logged_at(log::Level::kInfo), "two {} %v\nwarning: three\nerror: four\n");
  EXPECT_EQ(logged_at(log::Level::kWarning), "warning: three\nerror: four\n");
  EXPECT_EQ(logged_at(log::Level::kError), "error: four\n");
  EXPECT_EQ(logged_at(log::Level::kOff), "");
}

}  // namespace
}  // namespace tenon
