#include "base/printable.h"

#include <algorithm>
#include <array>

namespace tenon {
namespace {

// U+0080 to U+009F, some of which are terminals' too, are C2 80 to C2 9F in UTF-8.
constexpr unsigned char kTwoByteLead = 0xC2;

bool is_control(unsigned char byte) {
  return (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F;
}

std::string escaped(unsigned char code) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  return {'\\', 'u', '0', '0', kDigits[code >> 4U], kDigits[code & 15U]};
}

bool is_high_control(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]) == kTwoByteLead && at + 1 < text.size() &&
         (static_cast<unsigned char>(text[at + 1]) & 0xE0U) == 0x80U;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (is_control(byte)) {
      shown += escaped(byte);
    } else if (is_high_control(text, i)) {
      shown += escaped(static_cast<unsigned char>(text[++i]));
    } else {
      shown += text[i];
    }
  }
  return shown;
}

std::string printable_excerpt(std::string_view text, std::size_t most) {
  if (text.size() <= most) return printable(text);
  std::size_t end = most;  // not inside of a UTF-8 character
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return printable(text.substr(0, end)) + "... (" + std::to_string(text.size() - end) +
         " more characters)";
}

PrintableStream::PrintableStream(std::ostream& stream)
    : stream_(stream), inner_(stream.rdbuf(this)) {}

// A stream forgets with its buffer that writing failed.
PrintableStream::~PrintableStream() {
  const std::ios_base::iostate state = stream_.rdstate();
  stream_.rdbuf(inner_);
  stream_.setstate(state);
}

PrintableStream::int_type PrintableStream::overflow(int_type character) {
  if (traits_type::eq_int_type(character, traits_type::eof()))
    return traits_type::not_eof(character);
  const char one = traits_type::to_char_type(character);
  return xsputn(&one, 1) == 1 ? character : traits_type::eof();
}

std::streamsize PrintableStream::xsputn(const char* text, std::streamsize size) {
  const std::string shown = printable({text, static_cast<std::size_t>(size)});
  const auto wanted = static_cast<std::streamsize>(shown.size());
  return inner_->sputn(shown.data(), wanted) == wanted ? size : 0;
}

int PrintableStream::sync() { return inner_->pubsync(); }

}  // namespace tenon
