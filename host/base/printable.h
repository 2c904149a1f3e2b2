#pragma once

#include <ostream>
#include <streambuf>
#include <string>
#include <string_view>

namespace tenon {

// Names of other people's files may hold what a terminal obeys: control characters but newlines and
// tabs are written as JSON does, "\u001b".
std::string printable(std::string_view text);

// The same, and of a long text its start: "... (12345 more characters)".
std::string printable_excerpt(std::string_view text, std::size_t most);

// Makes a stream write all that goes through it like that, until it goes.
class PrintableStream : public std::streambuf {
 public:
  explicit PrintableStream(std::ostream& stream);
  ~PrintableStream() override;
  PrintableStream(const PrintableStream&) = delete;
  PrintableStream& operator=(const PrintableStream&) = delete;

 protected:
  int_type overflow(int_type character) override;
  std::streamsize xsputn(const char* text, std::streamsize size) override;
  int sync() override;

 private:
  std::ostream& stream_;
  std::streambuf* inner_;
};

}  // namespace tenon
