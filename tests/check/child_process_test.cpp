#include "check/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <thread>

namespace tenon {
namespace {

using ::testing::HasSubstr;

ChildOutcome run(const std::function<void(const ChildChannel&)>& body) {
  return run_in_child(body, std::chrono::seconds(5));
}

TEST(ChildProcess, ResultsComeBackInOrder) {
  const ChildOutcome outcome = run([](const ChildChannel& channel) {
    channel.send("one");
    channel.send(std::string(100000, 'x'));
    channel.send("");
  });
  EXPECT_EQ(outcome.end, ChildOutcome::End::kReturned);
  EXPECT_EQ(outcome.death(), "");
  ASSERT_EQ(outcome.results.size(), 3u);
  EXPECT_EQ(outcome.results[0], "one");
  EXPECT_EQ(outcome.results[1].size(), 100000u);
}

TEST(ChildProcess, CrashIsToldWithWhatWasBeingDoneAndWhatHadBeenSent) {
  const ChildOutcome outcome = run([](const ChildChannel& channel) {
    channel.send("before");
    channel.step("running forward");
    std::raise(SIGSEGV);
  });
  EXPECT_EQ(outcome.results, std::vector<std::string>{"before"});
  EXPECT_EQ(outcome.death(), "it crashed (Segmentation fault) while running forward");
}

TEST(ChildProcess, AbortIsToldWithTheLastLineOfStandardError) {
  const ChildOutcome outcome = run([](const ChildChannel&) {
    std::fputs("first line\nheap is corrupt\n", stderr);
    std::abort();
  });
  EXPECT_EQ(outcome.death(), "it crashed (Aborted): heap is corrupt");
}

TEST(ChildProcess, ExitIsNotTakenForAReturn) {
  const ChildOutcome outcome = run([](const ChildChannel&) { ::_exit(0); });
  EXPECT_EQ(outcome.death(), "it ended the process (exit status 0)");
}

TEST(ChildProcess, ChildThatDoesNotReturnIsKilledWithAllThatItStarted) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const ChildOutcome outcome = run_in_child(
      [&](const ChildChannel& channel) {
        channel.step("waiting");
        if (::fork() == 0) {
          for (;;) ::pause();
        }
        for (;;) ::pause();
      },
      std::chrono::milliseconds(100));
  EXPECT_EQ(outcome.death(), "it did not return while waiting");
  ::close(ends[1]);
  char byte = 0;
  EXPECT_EQ(::read(ends[0], &byte, 1), 0) << "a grandchild still holds the pipe";
  ::close(ends[0]);
}

TEST(ChildProcess, ExceptionOfTheBodyIsHandedOver) {
  const ChildOutcome outcome =
      run([](const ChildChannel&) { throw std::runtime_error("no such layer"); });
  EXPECT_EQ(outcome.end, ChildOutcome::End::kThrew);
  EXPECT_EQ(outcome.error, "no such layer");
}

TEST(ChildProcess, StandardOutputIsKeptOffOurs) {
  ::testing::internal::CaptureStdout();
  const ChildOutcome outcome = run([](const ChildChannel&) { std::puts("hello"); });
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_TRUE(outcome.wrote_to_stdout);
  EXPECT_FALSE(run([](const ChildChannel&) {}).wrote_to_stdout);
}

TEST(ChildProcess, ClosedPipeDoesNotHideAChildThatHangs) {
  const ChildOutcome outcome = run_in_child(
      [](const ChildChannel&) {
        ::close_range(3, ~0U, 0);
        for (;;) ::pause();
      },
      std::chrono::milliseconds(100));
  EXPECT_EQ(outcome.end, ChildOutcome::End::kTimeout);
}

}  // namespace
}  // namespace tenon
