#include "base/printable.h"

#include <gtest/gtest.h>

#include <sstream>

namespace tenon {
namespace {

TEST(PrintableTest, WhatATerminalObeysIsWrittenAsItsNumber) {
  EXPECT_EQ(printable("a\x1b[2Jb\rc\x07\x7f"), "a\\u001b[2Jb\\u000dc\\u0007\\u007f");
  EXPECT_EQ(printable("x\xC2\x9B"
                      "1m"),
            "x\\u009b1m");  // the one-character form of ESC [
}

TEST(PrintableTest, TextStaysAsItIs) {
  EXPECT_EQ(printable("one\n\ttwo \xC3\xA9 \xE2\x82\xAC {} %s"),
            "one\n\ttwo \xC3\xA9 \xE2\x82\xAC {} %s");
}

TEST(PrintableTest, LongTextEndsAtAWholeCharacter) {
  EXPECT_EQ(printable_excerpt("abcdef", 6), "abcdef");
  EXPECT_EQ(printable_excerpt("abcdef", 4), "abcd... (2 more characters)");
  EXPECT_EQ(printable_excerpt("abc\xC3\xA9xyz", 4), "abc... (5 more characters)");
}

TEST(PrintableTest, StreamWritesPrintablyUntilItGoesAndStaysFailed) {
  std::ostringstream out;
  {
    const PrintableStream printable_out(out);
    out << "a\x1b" << 'b' << '\x1b' << 1.5 << std::endl;
    out.setstate(std::ios_base::failbit);
  }
  EXPECT_EQ(out.str(), "a\\u001bb\\u001b1.5\n");
  EXPECT_TRUE(out.fail());
  out.clear();
  out << "\x1b";
  EXPECT_EQ(out.str(), "a\\u001bb\\u001b1.5\n\x1b");
}

}  // namespace
}  // namespace tenon
